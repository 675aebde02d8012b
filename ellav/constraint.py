"""Forcing rules of ELLA-V's decoding, as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ellav.tokenizer import EOP
from slmcore.checks import whole
from slmcore.layers.decoding import FREE

__all__ = ["PhonesInOrder", "PhonesOfLengths"]


class PhonesInOrder:
    """Rule that forces the next phone after EOP, and EOP on a phone that is too long; the last EOP ends the sequence.

    Tokens since the last EOP are counted, a forced phone included, and EOP is forced once the count exceeds
    `max_codec_tokens_per_phone + 1`; the first phone stands in the prompt and is not counted. Everything else is
    sampled freely, specials and phones too.
    """

    rows: tuple[str, ...] = ("number", "phones", "index", "count")
    ragged: tuple[str, ...] = ("phones",)

    def __init__(self, phones: Sequence[Tensor], max_codec_tokens_per_phone: int, device: torch.device) -> None:
        self.most = whole("max_codec_tokens_per_phone", max_codec_tokens_per_phone, 0)
        self.number = torch.tensor([len(p) for p in phones], device=device)
        self.phones = torch.nn.utils.rnn.pad_sequence([*phones], batch_first=True).to(device)
        self.index = torch.zeros_like(self.number)
        self.count = torch.zeros_like(self.number)

    @property
    def constants(self) -> tuple[object, ...]:
        """Return the inputs of a step other than tensors."""
        return (self.most,)

    def adjust(self, logits: Tensor) -> Tensor:
        """Return the logits unchanged."""
        return logits

    def advance(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Count tokens and phones, and determine the forced tokens."""
        ends_phone = valid & (tokens == EOP)
        self.index += ends_phone
        self.count += valid
        self.count.masked_fill_(ends_phone, 0)
        ended = self.index >= self.number
        following = self.phones.gather(1, self.index.clamp(max=self.phones.shape[1] - 1)[:, None]).squeeze(1)
        forced = torch.where(self._full(), EOP, FREE)
        return torch.where(ends_phone & ~ended, following, forced), ended

    def _full(self) -> Tensor:
        return self.count > self.most + 1

    def select(self, rows: Tensor) -> None:
        """Keep only these rows, (n,) int64."""
        for name in self.rows:
            setattr(self, name, getattr(self, name)[rows])


class PhonesOfLengths(PhonesInOrder):
    """Rule that forces the next phone after EOP, and EOP once a phone has its given number of codec tokens.

    `lengths`: codec tokens of each phone, int64 (phones,) for each sequence, >= 0 and for the first phone >= 1.
    Nothing but codec tokens, those from id `first_codec` on, is sampled.
    """

    rows = (*PhonesInOrder.rows, "lengths")
    ragged = (*PhonesInOrder.ragged, "lengths")

    def __init__(
        self, phones: Sequence[Tensor], lengths: Sequence[Tensor], first_codec: int, device: torch.device
    ) -> None:
        super().__init__(phones, 0, device)
        self.lengths = torch.nn.utils.rnn.pad_sequence([*lengths], batch_first=True).to(device)
        self.first_codec = first_codec

    @property
    def constants(self) -> tuple[object, ...]:
        """Return the inputs of a step other than tensors."""
        return (self.first_codec,)

    def adjust(self, logits: Tensor) -> Tensor:
        """Mask all but codec tokens."""
        others = torch.arange(logits.shape[-1], device=logits.device) < self.first_codec
        return logits.masked_fill(others, float("-inf"))

    def _full(self) -> Tensor:
        length = self.lengths.gather(1, self.index.clamp(max=self.lengths.shape[1] - 1)[:, None]).squeeze(1)
        # The first phone is part of the prompt; every other one counts itself.
        return self.count - (self.index > 0).long() >= length
