"""Token ids of units in training: the beginning of an utterance, then its units from an offset on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mistral_ulm import UnitLM
from twist import TwistLM

__all__ = ["UnitIds"]


@dataclass(frozen=True)
class UnitIds:
    """Ids of k units: unit u is `offset` + u, and `bos` begins each utterance and so ends the one before."""

    k: int
    offset: int = 1
    bos: int = 0

    @classmethod
    def of(cls, model: UnitLM | TwistLM) -> UnitIds:
        """Return the ids of a model. A ValueError for one whose sequences have no beginning."""
        if isinstance(model, UnitLM):
            return cls(model.config.vocab_size - 1)
        if model.config.bos is None:
            raise ValueError("A model without BOS cannot be trained on utterances. Start from a text model (hf:NAME).")
        return cls(model.k, model.config.offset, model.config.bos)

    @property
    def vocab_size(self) -> int:
        """Number of ids up to that of the last unit."""
        return self.k + self.offset

    def encode(self, units: Tensor) -> Tensor:
        """Return ids (n + 1,), int64, of units (n,) in 0..k - 1."""
        return torch.cat([units.new_full((1,), self.bos), units + self.offset]).long()
