"""Base of the evaluations: results as a table, as rows, and as a JSON with csvs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmcore.files.registry import Row
from slmzoo import invocation
from slmzoo.commands.common import ModelCommand
from slmzoo.commands.options.report import ReportOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.evaluation.report.provenance import models_of
from slmzoo.evaluation.report.results import Findings, Problems, insist, read, table
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.kinds import Role

__all__ = ["Evaluation", "Report"]


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Report(ReportOptions, ResultsCommand):
    """Evaluation with scores as a table or as rows, and in a folder as a JSON with csvs."""

    shown: bool = True
    """Whether scores are printed; not for a part of a larger evaluation."""

    @property
    def bootstrap(self) -> Bootstrap:
        """Settings of the confidence intervals."""
        return Bootstrap(resamples=self.resamples, seed=self.bootstrap_seed)

    def insist(self, task: str, problems: Problems) -> None:
        """Raise a ValueError for problems unless allowed; OUT/<task>.problems.json names all of them."""
        insist(problems, self.allow_missing, self.out / f"{task}.problems.json")

    def finish(self, task: str, found: Findings) -> int:
        """Write and print the result; return the exit status. Raises ValueError for problems unless allowed."""
        self.insist(task, found.problems)
        path = found.result(task, self.bootstrap, invocation.command()).save(self.out)
        content = read(path)
        if not (content["complete"] or self.for_a_person):  # the table says so
            counts = ", ".join(f"{len(names)} {kind}" for kind, names in content["problems"].items() if names)
            log.warning("%s is incomplete: %s.", path, counts)
        if self.shown:
            self.tell(content["scores"], table(content) + f"{path}\n")
        return 0


@dataclass(frozen=True, kw_only=True)
class Evaluation(ModelCommand, Report):
    """Evaluation with models of a zoo."""

    def models(self, sources: Mapping[str, Row], *roles: Role) -> dict[str, Any]:
        """Return name, SHA-256 and precision of models, by kind; only those of `roles` if given."""
        return models_of(sources, roles, self.precision)
