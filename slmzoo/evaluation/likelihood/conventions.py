"""How a likelihood is made of log-probabilities: what is scored, what conditions it, and how it is summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from slmcore.errors import must
from slmcore.roles import UnitLanguageModel, UnitSequence

__all__ = ["PRESETS", "Convention", "loglikelihoods"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Which log-probabilities of deduplicated units are added up, in nats. Without BOS the first unit has none."""

    reduction: Literal["sum", "mean"] = "sum"
    """Sum, or mean over what is scored."""
    bos: bool = True
    """Whether a beginning conditions the first unit, which is then scored."""
    eos: bool = False
    """Whether the end is scored: for these models the BOS of a next utterance, as in training."""

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ValueError(must("reduction", "'sum' or 'mean'", self.reduction))

    def describe(self) -> dict[str, Any]:
        """The convention as a result states it, with the names of the presets that agree."""
        known = [name for name, preset in PRESETS.items() if preset == self]
        return {**asdict(self), "deduplicated": True, "same_as": known}

    def scores(self, units: int) -> bool:
        """Whether anything is scored of so many units. Of a single one there is nothing without BOS and EOS."""
        return units + self.bos + self.eos >= 2


PRESETS = {
    "dpslm": Convention(reduction="sum", bos=True, eos=False),
    "zerosyl": Convention(reduction="sum", bos=True, eos=False),
    "slamkit": Convention(reduction="mean", bos=True, eos=True),
    "twist": Convention(reduction="mean", bos=False, eos=False),
}
"""How published systems score: DP-SLM and ZeroSyl's command line, slamkit, and TWIST as SALMon scores it."""


@torch.no_grad()
def loglikelihoods(
    ulm: UnitLanguageModel,
    sequences: Sequence[UnitSequence],
    convention: Convention,
    progress: bool = False,
) -> list[float]:
    """Log-likelihood in nats of each sequence of deduplicated units (n_i,), scored in batches of like lengths.

    Equal sequences get equal values; batch and order move a value by float32 rounding only (about 1e-5 nats).
    """
    logprobs = ulm.logprobs(sequences, bos=convention.bos, eos=convention.eos, progress=progress)
    totals = (float(x.sum(dtype=torch.float64)) / (len(x) if convention.reduction == "mean" else 1) for x in logprobs)
    return list(totals)
