"""Positional embedding by a grouped convolution over time (Baevski et al. 2020, arXiv 2006.11477)."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PositionConv"]


class PositionConv(nn.Conv1d):
    """Grouped convolution over time, added to its input as the absolute position: (B, T, dim) -> (B, T, dim)."""

    def __init__(self, dim: int, kernel: int, groups: int, norm: nn.Module | None = None) -> None:
        """`norm`: applied to the convolution's input, such as the batch norm of mHuBERT at 25 Hz."""
        super().__init__(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(self.weight, std=math.sqrt(4 / (kernel * dim)))
        self.norm = nn.Identity() if norm is None else norm

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """An even kernel gives one frame too many; the last is dropped, as published.

        `padding` (B, T): True at frames beyond an item's end, which are zeroed for the convolution, as if the item were
        alone.
        """
        seen = self.norm(x)
        if padding is not None:
            seen = seen.masked_fill(padding[..., None], 0.0)
        position = super().forward(seen.transpose(1, 2))[..., : x.shape[1]]
        return x + F.gelu(position).transpose(1, 2)
