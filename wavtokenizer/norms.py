"""Layer norm and group norm that stay in float32 in a model of half precision."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.precision import Float32, widened

__all__ = ["GroupNorm", "LayerNorm", "masked"]

_EPS = 1e-6


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return `x` (B, C, T) with zeros where `mask` (B, 1, T) is False; None masks nothing."""
    return x if mask is None else x * mask


class LayerNorm(Float32):
    """Layer norm over the last axis, eps 1e-6."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim), of the same dtype."""
        return F.layer_norm(widened(x), self.weight.shape, self.weight, self.bias, _EPS).to(x.dtype)


class GroupNorm(Float32):
    """Group norm with 32 groups, eps 1e-6, whose statistics can exclude padded frames."""

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
