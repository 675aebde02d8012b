"""Dropout of the prenet, active at inference too: without it the decoder repeats itself."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from slmcore.layers.sampling import uniform

__all__ = ["DrawnDropout", "PrenetDropout"]

_STEPS = 64
"""Frames whose numbers are drawn at once."""


class PrenetDropout(Protocol):
    """Factors of the prenet's outputs, frame by frame."""

    def __call__(self, step: int) -> Tensor:
        """Return the factors (2, B, prenet_dim) of frame `step`; steps are requested in order."""
        ...


class DrawnDropout:
    """Half of the outputs are dropped, the others doubled; each sequence draws from (seed, sequence, frame)."""

    def __init__(self, seed: int, sequences: Tensor, width: int) -> None:
        """`sequences`: numbers of the sequences of the batch, int64 (B,); `width` of the prenet."""
        self._seed, self._sequences, self._width = seed, sequences, width
        self._block = torch.empty(0)

    def __call__(self, step: int) -> Tensor:
        """Return the factors (2, B, width) of frame `step`."""
        if step % _STEPS == 0 or not len(self._block):
            self._block = self._drawn(step - step % _STEPS)
        return self._block[step % _STEPS]

    def _drawn(self, first: int) -> Tensor:
        """Return the factors (frames, 2, B, width) of the frames from `first` on."""
        each, device = 2 * self._width, self._sequences.device
        numbers = torch.arange(first * each, (first + _STEPS) * each, device=device)
        rows = self._sequences[:, None].expand(-1, len(numbers)).contiguous()
        found = uniform(self._seed, rows, numbers.expand_as(rows).contiguous())
        return 2.0 * (found >= 0.5).unflatten(1, (_STEPS, 2, self._width)).permute(1, 2, 0, 3)
