"""Evaluations that a paper can cite, as functions: each returns scores with intervals and the items behind them.

Example: `evaluate_pairs(pipeline, layouts.salmon(folder), PRESETS["twist"]).scores[0].interval`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention
    from slmzoo.evaluation.likelihood.scoring import evaluate_pairs, evaluate_pairs_of_units, evaluate_scores
    from slmzoo.evaluation.report.findings import Findings
    from slmzoo.evaluation.units.scoring import AbxTask, evaluate_abx, evaluate_units

__all__ = [
    "PRESETS",
    "AbxTask",
    "Convention",
    "Findings",
    "evaluate_abx",
    "evaluate_pairs",
    "evaluate_pairs_of_units",
    "evaluate_scores",
    "evaluate_units",
]

_MODULES = {
    "likelihood.conventions": ("PRESETS", "Convention"),
    "likelihood.scoring": ("evaluate_pairs", "evaluate_pairs_of_units", "evaluate_scores"),
    "report.findings": ("Findings",),
    "units.scoring": ("AbxTask", "evaluate_abx", "evaluate_units"),
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first asked for, so that an evaluation loads only what it needs."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
