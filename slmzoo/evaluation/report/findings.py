"""Findings of an evaluation, independent of the command that computed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slmzoo.evaluation.report.results import Problems, Result, Row, Score
from slmzoo.evaluation.report.statistics import Bootstrap

__all__ = ["Check", "Findings", "accept"]

Check = Callable[[Problems], None]
"""Callback that receives the problems of the data before any expensive computation, and may raise."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Scores of an evaluation, the items behind them, and how they were computed."""

    scores: Sequence[Score]
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Rows of the items of each metric that has any."""
    conventions: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    """Name and SHA-256 of each model."""
    problems: Problems = field(default_factory=dict)
    """Recordings that were left out, by reason."""

    def result(self, task: str, bootstrap: Bootstrap | None = None, command: Sequence[str] = ()) -> Result:
        """Return the result that `slmzoo eval` writes (`Result.save`), under the name `task`."""
        return Result(task=task, bootstrap=bootstrap or Bootstrap(), command=command, **vars(self))


def accept(problems: Problems) -> None:
    """Accept any problems; they are part of the findings."""
