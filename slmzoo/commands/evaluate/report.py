"""The base of the evaluations: results as a table, as rows, and as a JSON with csvs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slmcore.files.fetch import verify
from slmcore.files.registry import Row
from slmzoo import invocation
from slmzoo.commands.common import ModelCommand
from slmzoo.commands.options.evaluation import ReportOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.evaluation.report.results import Problems, Result, Score, insist, read, table
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.kinds import Role
from slmzoo.pipeline import Pipeline
from slmzoo.sources import Source
from slmzoo.systems import kinds, unit_roles

__all__ = ["Evaluation", "Findings", "Report"]


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
class Report(ReportOptions, ResultsCommand):
    """An evaluation: its scores as a table for a person or as rows, and in a folder as a JSON with csvs."""

    shown: bool = True
    """Whether scores go to standard output too; those of a part of a larger evaluation do not."""

    @property
    def bootstrap(self) -> Bootstrap:
        """How intervals are made."""
        return Bootstrap(resamples=self.resamples, seed=self.bootstrap_seed)

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
        if not (content["complete"] or self.for_a_person):  # whom the table tells
            counts = ", ".join(f"{len(names)} {kind}" for kind, names in content["problems"].items() if names)
            log.warning("%s is incomplete: %s.", path, counts)
        if self.shown:
            self.tell(content["scores"], table(content) + f"{path}\n")
        return 0


@dataclass(frozen=True, kw_only=True)
class Evaluation(ModelCommand, Report):
    """An evaluation with models of a zoo."""

    def models(self, sources: Mapping[str, Row], *roles: Role) -> dict[str, Any]:
        """Name and SHA-256 of the files of models, by kind; only those of `roles` if any are named."""
        known = kinds()
        return {kind: self.described(row) for kind, row in sources.items() if not roles or known[kind].role in roles}

    def described(self, row: Row) -> dict[str, Any]:
        """Name, SHA-256 and precision of a checkpoint that is here."""
        return {"zoo": self.zoo, "file": row.file, "sha256": verify(row), **self.precision}

    def identity(self, pipeline: Pipeline, models: Mapping[str, Any]) -> dict[str, str]:
        """What tells units that were made by these models (of `models`) from others, for `units_of`."""
        point = pipeline.operating_point
        known, roles = kinds(), unit_roles(Source(zoo=self.zoo, registry=self.registry))
        made = {name: models[name] for name in pipeline.sources if known[name].role in roles}
        return {"models": json.dumps(made), "operating_point": point.to_json() if point is not None else "null"}
