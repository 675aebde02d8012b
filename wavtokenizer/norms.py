"""Layer norm and group norm that stay in float32 while the rest of the model is cast to half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GroupNorm", "KeepsFloat32", "LayerNorm", "masked", "widened"]

_HALF = (torch.float16, torch.bfloat16)
_EPS = 1e-6


def widened(x: Tensor) -> Tensor:
    """`x` in float32 if it is in half precision, else as it is (float64 stays)."""
    return x.float() if x.dtype in _HALF else x


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` (B, C, T) with zeros where `mask` (B, 1, T) is False; None masks nothing."""
    return x if mask is None else x * mask


class KeepsFloat32(nn.Module):
    """A module whose parameters and buffers follow `.to(device)` but are not rounded by `.half()` or `.bfloat16()`."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def kept(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in _HALF else moved

        return super()._apply(kept, recurse)


class LayerNorm(KeepsFloat32):
    """Layer norm over the last axis, eps 1e-6."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim), of the same dtype."""
        return F.layer_norm(widened(x), self.weight.shape, self.weight, self.bias, _EPS).to(x.dtype)


class GroupNorm(KeepsFloat32):
    """Group norm with 32 groups, eps 1e-6, whose statistics can leave out padded frames."""

    GROUPS = 32

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, dim, T) -> (B, dim, T); frames where `mask` (B, 1, T) is False do not count."""
        wide = widened(x)
        if mask is None:
            return torch.group_norm(wide, self.GROUPS, self.weight, self.bias, _EPS).to(x.dtype)
        grouped = wide.unflatten(1, (self.GROUPS, -1))
        here = mask.unsqueeze(1).to(wide.dtype)
        count = here.sum((2, 3), keepdim=True) * grouped.shape[2]
        mean = (grouped * here).sum((2, 3), keepdim=True) / count
        variance = ((grouped - mean).square() * here).sum((2, 3), keepdim=True) / count
        normed = ((grouped - mean) * (variance + _EPS).rsqrt()).flatten(1, 2)
        return (normed * self.weight[:, None] + self.bias[:, None]).to(x.dtype)
