"""Accuracy on pairs: how often the right recording is likelier than the wrong one; ties count half."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmzoo.evaluation.report.results import Problems

__all__ = ["Benchmark", "Pair", "accuracy", "likelihood_rows", "problems_of"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Pair of a right and a wrong recording."""

    item: str
    """Independent item of the pair, such as a word, possibly in several voices."""
    positive: str
    """Id of the right recording."""
    negative: str
    """Id of the wrong one."""
    voice: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Values to group the item by; empty where unknown."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Pairs, their recordings, and problems of the data."""

    name: str
    pairs: Sequence[Pair]
    files: Mapping[str, Path]
    """Recordings by id, including those of no pair."""
    by: Sequence[str] = ()
    """Columns whose values get a score of their own."""
    problems: Problems = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Recordings of the pairs, each once, in their order."""
        return list(dict.fromkeys(name for pair in self.pairs for name in (pair.positive, pair.negative)))


def accuracy(pairs: Iterable[Pair], scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row per item: `item`, `value` (mean over its voices), `pairs` (their number), and its columns.

    Pairs without scores of both recordings are left out.
    """
    values: dict[str, list[float]] = defaultdict(list)
    columns: dict[str, Mapping[str, str]] = {}
    for pair in pairs:
        if pair.positive in scores and pair.negative in scores:
            right, wrong = scores[pair.positive], scores[pair.negative]
            values[pair.item].append(1.0 if right > wrong else 0.5 if right == wrong else 0.0)
            columns.setdefault(pair.item, pair.columns)
    return [
        {"item": item, "value": math.fsum(points) / len(points), "pairs": len(points), **columns[item]}
        for item, points in values.items()
    ]


def likelihood_rows(benchmark: Benchmark, scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row per recording: `item` (its id), `value` (its score) and `side`."""
    sides = {p.negative: "negative" for p in benchmark.pairs} | {p.positive: "positive" for p in benchmark.pairs}
    return [{"item": name, "value": scores[name], "side": sides[name]} for name in benchmark.ids if name in scores]


def problems_of(benchmark: Benchmark, there: Iterable[str]) -> dict[str, list[str]]:
    """Return the benchmark's problems, recordings missing from `there`, and extra ones of no pair.

    Recordings named by the benchmark's problems are not extra.
    """
    known, present = set(benchmark.ids), set(there)
    named = {name for names in benchmark.problems.values() for name in names}
    problems = {kind: list(names) for kind, names in benchmark.problems.items()}
    problems["missing"] = sorted(problems.get("missing", []) + list(known - present))
    problems["extra"] = sorted(problems.get("extra", []) + list(present - known - named))
    return {kind: names for kind, names in problems.items() if names}
