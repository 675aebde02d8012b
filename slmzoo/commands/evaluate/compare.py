"""`slmzoo eval compare`: comparison of two results on their shared items."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from slmzoo.commands.options.report import CompareOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.evaluation.report.compare import Difference, cautions, compare_results
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.tables import columns

__all__ = ["Compare"]


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Compare(CompareOptions, ResultsCommand):
    """Comparison of two results on their shared items."""

    def run(self) -> int:
        """Compare, and print the table or write its rows."""
        bootstrap = Bootstrap(resamples=self.resamples, seed=self.bootstrap_seed)
        for caution in cautions(self.first, self.second):
            log.warning("%s", caution)
        found = [_row(each) for each in compare_results(self.first, self.second, bootstrap)]
        self.tell(found, columns([tuple(found[0]), *(tuple(map(_cell, row.values())) for row in found)]))
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
