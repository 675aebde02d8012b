"""Evaluations for publication, as functions that return scores with intervals and the items behind them.

Example: `evaluate_pairs(pipeline, layouts.salmon(folder), PRESETS["twist"]).scores[0].interval`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention
    from slmzoo.evaluation.likelihood.scoring import evaluate_pairs, evaluate_pairs_of_units, evaluate_scores
    from slmzoo.evaluation.report.results import Findings
    from slmzoo.evaluation.slmtokbench.scoring import Spoken, TokenTask, evaluate_tokens
    from slmzoo.evaluation.slmtokbench.tokens import codec_tokens, tokens_of, unit_tokens
    from slmzoo.evaluation.speech.generated import GenerationTask, evaluate_generation
    from slmzoo.evaluation.speech.scoring import SpeechMetrics, evaluate_speech
    from slmzoo.evaluation.units.probing import evaluate_text_information
    from slmzoo.evaluation.units.scoring import AbxTask, evaluate_abx, evaluate_units
    from slmzoo.evaluation.units.sweeping import Annotations, evaluate_sweep

__all__ = [
    "PRESETS",
    "AbxTask",
    "Annotations",
    "Convention",
    "Findings",
    "GenerationTask",
    "SpeechMetrics",
    "Spoken",
    "TokenTask",
    "codec_tokens",
    "evaluate_abx",
    "evaluate_generation",
    "evaluate_pairs",
    "evaluate_pairs_of_units",
    "evaluate_scores",
    "evaluate_speech",
    "evaluate_sweep",
    "evaluate_text_information",
    "evaluate_tokens",
    "evaluate_units",
    "tokens_of",
    "unit_tokens",
]

_MODULES = {
    "likelihood.conventions": ("PRESETS", "Convention"),
    "likelihood.scoring": ("evaluate_pairs", "evaluate_pairs_of_units", "evaluate_scores"),
    "report.results": ("Findings",),
    "slmtokbench.scoring": ("Spoken", "TokenTask", "evaluate_tokens"),
    "slmtokbench.tokens": ("codec_tokens", "tokens_of", "unit_tokens"),
    "speech.generated": ("GenerationTask", "evaluate_generation"),
    "speech.scoring": ("SpeechMetrics", "evaluate_speech"),
    "units.probing": ("evaluate_text_information",),
    "units.scoring": ("AbxTask", "evaluate_abx", "evaluate_units"),
    "units.sweeping": ("Annotations", "evaluate_sweep"),
}


def __getattr__(name: str) -> Any:
    """Import a function on first access, so that an evaluation loads only what it needs."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
