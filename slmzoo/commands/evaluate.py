"""What the commands of `slmzoo eval` share, and `slmzoo eval compare`: results as a table, a JSON, and csvs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simple_parsing import field as option

from slmcore.files.fetch import verify
from slmcore.files.registry import Row, find
from slmcore.units import OperatingPoint
from slmzoo import invocation
from slmzoo.commands.common import ModelCommand, ResultsCommand
from slmzoo.evaluation.report.compare import Difference, cautions, compare_results
from slmzoo.evaluation.report.results import Problems, Result, Score, insist, read, table
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.pipeline import Pipeline
from slmzoo.tables import columns

__all__ = ["Compare", "Evaluation", "Findings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an evaluation found, before it is known how it was called."""

    scores: Sequence[Score]
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    conventions: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    problems: Problems = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluation(ModelCommand):
    """What every evaluation takes. With --jsonl the scores also go to a file, one JSON object a line."""

    out: Path = Path("slmzoo-eval")
    """Folder for the result: a JSON, and a csv for each metric."""
    resamples: int = 2000
    """Bootstrap resamples behind each interval."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""
    allow_missing: bool = False
    """Score what is left where data are missing, and mark the result as incomplete."""

    @property
    def bootstrap(self) -> Bootstrap:
        """How intervals are made."""
        return Bootstrap(resamples=self.resamples, seed=self.bootstrap_seed)

    def models(self, point: OperatingPoint | None, *kinds: str) -> dict[str, Any]:
        """Name and SHA-256 of the files of kinds such as "wavlm", "codebook", "ulm" at an operating point."""
        return {kind: self.described(row) for kind, row in self.rows(point, *kinds).items()}

    def rows(self, point: OperatingPoint | None, *kinds: str) -> dict[str, Row]:
        """The checkpoints of these kinds at an operating point; a ValueError says what there is."""
        k, lmbda = (point.k, point.lmbda) if point is not None else (self.k, self.lmbda)
        keys = {"codebook": {"k": k}, "ulm": {"k": k, "lmbda": lmbda}, "ellav": {"k": k, "lmbda": lmbda}}
        return {kind: find(kind, zoo=self.zoo, registry=self.registry, **keys.get(kind, {})) for kind in kinds}

    def described(self, row: Row) -> dict[str, Any]:
        """Name, SHA-256 and precision of a checkpoint that is here."""
        how = {"dtype": self.dtype, "weights": self.weights}
        return {"zoo": self.zoo, "file": row.file, "sha256": verify(row), **how}

    def identity(self, pipeline: Pipeline, models: Mapping[str, Any]) -> dict[str, str]:
        """What tells units that were made by these models (of `models`) from others, for `units_of`."""
        point = pipeline.operating_point
        made = {name: models[name] for name in ("wavlm", "codebook")}
        return {"models": json.dumps(made), "operating_point": point.to_json() if point is not None else "null"}

    def insist(self, task: str, problems: Problems) -> None:
        """Raise a ValueError for problems that were not allowed; OUT/<task>.problems.json names all of them."""
        insist(problems, self.allow_missing, self.out / f"{task}.problems.json")

    def finish(self, task: str, found: Findings) -> int:
        """Write the result and show it; the exit status. Raises ValueError for problems that were not allowed."""
        self.insist(task, found.problems)
        result = Result(
            task=task,
            scores=found.scores,
            tables=found.tables,
            conventions=found.conventions,
            models=found.models,
            problems=found.problems,
            bootstrap=self.bootstrap,
            command=invocation.command(),
        )
        path = result.save(self.out)
        content = read(path)
        if self.jsonl is not None:
            with self.results() as write:
                for score in content["scores"]:
                    write(score)
        sys.stdout.write(table(content) + f"{path}\n")
        return 0


@dataclass(frozen=True, kw_only=True)
class Compare(ResultsCommand):
    """Differences between two results on the items that both have: paired bootstrap, and McNemar where it applies.

    Warns of conventions that differ and of results that are not complete. With --jsonl a line holds: metric, subset,
    first, second, difference, low, high, bootstrap_p, mcnemar_p, items.
    """

    first: Path = option(positional=True, metavar="A.json")
    """A result of `slmzoo eval`."""
    second: Path = option(positional=True, metavar="B.json")
    """Another of the same task."""
    resamples: int = 2000
    """Bootstrap resamples."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""

    def run(self) -> int:
        """Compare, and print the table or write it as JSONL."""
        bootstrap = Bootstrap(resamples=self.resamples, seed=self.bootstrap_seed)
        for caution in cautions(self.first, self.second):
            log.warning("%s", caution)
        found = [_row(each) for each in compare_results(self.first, self.second, bootstrap)]
        if self.jsonl is not None:
            with self.results() as write:
                for row in found:
                    write(row)
            return 0
        sys.stdout.write(columns([tuple(found[0]), *(tuple(map(_cell, row.values())) for row in found)]))
        return 0


def _row(found: Difference) -> dict[str, Any]:
    comparison = asdict(found.comparison)
    span = comparison.pop("difference")
    scores = {name: comparison.pop(name) for name in ("first", "second")}
    shown = {"metric": found.metric, "subset": dict(found.subset), **scores}
    return {**shown, "difference": span["value"], "low": span["low"], "high": span["high"], **comparison}


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
