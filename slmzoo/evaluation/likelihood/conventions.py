"""Scoring conventions: scored tokens, their conditioning, and the reduction of log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from slmcore.errors import must
from slmcore.roles import UnitLanguageModel, UnitSequence, scores_end, scores_first

__all__ = ["PRESETS", "Convention", "loglikelihoods", "usual_convention"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Convention of scoring deduplicated units, in nats. Without BOS the first unit is not scored."""

    reduction: Literal["sum", "mean"] = "sum"
    """Sum, or mean over the scored tokens."""
    bos: bool | None = True
    """Whether a beginning conditions the first unit, which is then scored; None: where the model has one."""
    eos: bool | None = False
    """Whether the end is scored, for some models the BOS of a next utterance, as in training; None: where sequences of
    the model have both a beginning and an end."""

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ValueError(must("reduction", "'sum' or 'mean'", self.reduction))

    def of(self, ulm: UnitLanguageModel) -> Convention:
        """Return the convention for a model, with what it leaves to the model decided."""
        bos = scores_first(ulm) if self.bos is None else self.bos
        eos = scores_first(ulm) and scores_end(ulm) if self.eos is None else self.eos
        return replace(self, bos=bos, eos=eos)

    def describe(self, ulm: UnitLanguageModel) -> dict[str, Any]:
        """Return the convention as a result states it, with the names of the presets that agree for this model."""
        own = self.of(ulm)
        known = [name for name, preset in PRESETS.items() if preset.of(ulm) == own]
        return {**asdict(own), "deduplicated": True, "same_as": known}

    def scores(self, units: int) -> bool:
        """Whether a sequence of this many units has at least one scored token."""
        return units + bool(self.bos) + bool(self.eos) >= 2


PRESETS = {
    "dpslm": Convention(reduction="sum", bos=True, eos=False),
    "zerosyl": Convention(reduction="sum", bos=True, eos=False),
    "slamkit": Convention(reduction="mean", bos=None, eos=None),
    "twist": Convention(reduction="mean", bos=False, eos=False),
    "salmon": Convention(reduction="mean", bos=False, eos=False),
}
"""How published systems score: DP-SLM and ZeroSyl's command line, slamkit, TWIST, and SALMon's baselines.

TWIST's models know no BOS: slamkit's convention is then the mean without it.
"""


def usual_convention(ulm: UnitLanguageModel) -> str:
    """Return the preset of a model's system: the one that it names as `convention`, DP-SLM's where it names none."""
    return str(getattr(ulm, "convention", "dpslm"))


@torch.no_grad()
def loglikelihoods(
    ulm: UnitLanguageModel,
    sequences: Sequence[UnitSequence],
    convention: Convention,
    progress: bool = False,
) -> list[float]:
    """Return the log-likelihood in nats of each sequence of deduplicated units (n_i,).

    Equal sequences have equal values; batch and order change a value by float32 rounding only (about 1e-5 nats).
    """
    own = convention.of(ulm)
    logprobs = ulm.logprobs(sequences, bos=bool(own.bos), eos=bool(own.eos), progress=progress)
    totals = (float(x.sum(dtype=torch.float64)) / (len(x) if convention.reduction == "mean" else 1) for x in logprobs)
    return list(totals)
