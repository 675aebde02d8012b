"""Options of results: statistics, output, comparison and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from simple_parsing import field

from slmzoo.arguments import flag
from slmzoo.commands.options.common import (
    ResultsOptions,
)

__all__ = ["BootstrapOptions", "CompareOptions", "FiguresOptions", "ReportOptions"]


@dataclass(frozen=True, kw_only=True)
class BootstrapOptions(ResultsOptions):
    """Confidence intervals."""

    title: ClassVar[str] = "statistics"

    resamples: int = 2000
    """Bootstrap resamples behind each 95 % interval."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(BootstrapOptions):
    """Output and statistics of the scores."""

    title: ClassVar[str] = "report"

    out: Path = field(default=Path("slmzoo-eval"), metavar="DIR")
    """Folder for the result: a JSON file, and a csv for each metric."""
    allow_missing: bool = flag()
    """Score the remaining items where data are missing, and mark the result as incomplete."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions(BootstrapOptions):
    """Compare two results on the items that both have: paired bootstrap, and McNemar where it applies.

    Warns of conventions that differ and of incomplete results. A JSON line holds: metric, subset, first, second,
    difference, low, high, bootstrap_p, mcnemar_p, items.
    """

    title: ClassVar[str] = "results to compare"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval compare first/swuggy.json second/swuggy.json",)

    first: Path = field(positional=True, metavar="A.json")
    """A result of `slmzoo eval`."""
    second: Path = field(positional=True, metavar="B.json")
    """Another result of the same task."""


@dataclass(frozen=True, kw_only=True)
class FiguresOptions(ResultsOptions):
    """Draw results: word error rate against bit rate beside the 24 published points, ABX against lambda, accuracy by
    frequency band, and the distribution of log-likelihoods of each result.

    Results of `eval sweep`, `speech` with `units`, `abx`, `swuggy`, `pairs` and `mini` can be drawn. A JSON line
    holds: figure.
    """

    title: ClassVar[str] = "figures"
    examples: ClassVar[tuple[str, ...]] = ("slmzoo eval figures slmzoo-eval/sweep.json --out figures",)

    results: list[Path] = field(positional=True, nargs="+", metavar="RESULT.json")
    """Results of `slmzoo eval`."""
    out: Path = field(default=Path("slmzoo-figures"), metavar="DIR")
    """Folder for the PNGs."""
