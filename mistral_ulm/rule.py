"""How a generated utterance ends: with the BOS of the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mistral_ulm.tokenizer import BOS
from slmcore.errors import must
from slmcore.layers.decoding import FREE

__all__ = ["UntilNextUtterance"]


_LARGEST_PENALTY = 1e6
"""Beyond, logits would overflow."""


class UntilNextUtterance:
    """A sequence ends at BOS, not before `least` units; tokens that have occurred can be made less likely."""

    def __init__(
        self, prompts: Sequence[Tensor], vocab_size: int, least: int, penalty: float, device: torch.device
    ) -> None:
        if not 1 / _LARGEST_PENALTY <= penalty <= _LARGEST_PENALTY:
            raise ValueError(must("repetition_penalty", "from 1e-6 to 1e6", penalty, "1 changes nothing."))
        self.least, self.penalty = least, penalty
        self.counts = torch.zeros(len(prompts), dtype=torch.int64, device=device)
        self.seen = torch.zeros(len(prompts), vocab_size, dtype=torch.bool, device=device)
        for row, prompt in zip(self.seen, prompts, strict=True):
            row[prompt[1:]] = True

    def adjust(self, logits: Tensor) -> Tensor:
        """Hide BOS while a sequence is too short; divide what is likely, multiply what is unlikely, where seen."""
        if self.penalty != 1:
            scaled = torch.where(logits > 0, logits / self.penalty, logits * self.penalty)
            logits = torch.where(self.seen, scaled, logits)
        if self.least:
            is_bos = torch.arange(logits.shape[1], device=logits.device) == BOS
            logits = logits.masked_fill(is_bos & (self.counts < self.least)[:, None], -math.inf)
        return logits

    def advance(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Count the units; nothing is ever forced."""
        self.counts += valid
        self.seen.scatter_(
            1, tokens[:, None], (valid & (tokens != BOS))[:, None] | self.seen.gather(1, tokens[:, None])
        )
        return torch.full_like(tokens, FREE), tokens == BOS

    def select(self, rows: Tensor) -> None:
        """Keep some rows."""
        self.counts, self.seen = self.counts[rows], self.seen[rows]
