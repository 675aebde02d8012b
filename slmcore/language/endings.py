"""End of a generated utterance: EOS, or the BOS of the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.layers.decoding import FREE

__all__ = ["UntilToken"]


_LARGEST_PENALTY = 1e6
"""Logits would overflow beyond."""


class UntilToken:
    """End of sequences at the token `end`, after at least `least` tokens, with an optional repetition penalty."""

    rows: tuple[str, ...] = ("counts", "seen")
    ragged: tuple[str, ...] = ()

    def __init__(
        self,
        prompts: Sequence[Tensor],
        vocab_size: int,
        device: torch.device,
        *,
        end: int,
        least: int = 0,
        penalty: float = 1.0,
        never: Sequence[int] = (),
    ) -> None:
        """`end` -1: no token ends a sequence; `never`: ids that are never sampled."""
        if not 1 / _LARGEST_PENALTY <= penalty <= _LARGEST_PENALTY:
            raise ValueError(must("repetition_penalty", "from 1e-6 to 1e6", penalty, "1 changes nothing."))
        self.end, self.least, self.penalty, self.never = end, least, penalty, tuple(never)
        self.counts = torch.zeros(len(prompts), dtype=torch.int64, device=device)
        self.seen = torch.zeros(len(prompts), vocab_size, dtype=torch.bool, device=device)
        for row, prompt in zip(self.seen, prompts, strict=True):
            row[prompt] = True
        ids = torch.arange(vocab_size, device=device)
        self._is_end = ids == end
        self.seen &= ~self._is_end
        self._never = torch.isin(ids, torch.tensor(list(never), dtype=torch.int64, device=device)) if never else None

    @property
    def constants(self) -> tuple[object, ...]:
        """Return the inputs of a step other than tensors."""
        return (self.end, self.least, self.penalty, self.never)

    def adjust(self, logits: Tensor) -> Tensor:
        """Mask the end while a sequence is too short; divide positive and multiply negative logits of seen tokens."""
        if self.penalty != 1:
            scaled = torch.where(logits > 0, logits / self.penalty, logits * self.penalty)
            logits = torch.where(self.seen, scaled, logits)
        if self.least:
            logits = logits.masked_fill(self._is_end & (self.counts < self.least)[:, None], -math.inf)
        return logits if self._never is None else logits.masked_fill(self._never, -math.inf)

    def advance(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Count the tokens; none is ever forced."""
        self.counts += valid
        is_new = (valid & (tokens != self.end))[:, None]
        self.seen.scatter_(1, tokens[:, None], is_new | self.seen.gather(1, tokens[:, None]))
        return torch.full_like(tokens, FREE), tokens == self.end

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, (n,) int64."""
        for name in self.rows:
            setattr(self, name, getattr(self, name)[rows])
