"""Modules that stay in float32 when a model is cast to half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from slmcore.layers.fast import switch
from slmcore.layers.fast.norms import Norm, normed

__all__ = ["Float32", "LayerNorm32", "RMSNorm", "widened"]


def widened(x: Tensor) -> Tensor:
    """Return `x` in float32 if it is in half precision, else as it is (float64 stays)."""
    return x.float() if x.is_floating_point() and x.itemsize < 4 else x


class Float32(nn.Module):
    """A module whose own floating-point tensors follow `.to(device)` but stay float32 under `.to(dtype)`.

    Norms, codebooks and tables lose too much in half precision and save too little. float64 is kept, so that a whole
    model can be run in double precision as its own reference.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            half = moved.is_floating_point() and moved.itemsize < 4
            return tensor.to(device=moved.device, dtype=torch.float32) if half else moved

        return super()._apply(keep, recurse)


class RMSNorm(Float32):
    """x / rms(x) * weight over the last axis, computed in float32 (Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4)."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to the same shape and dtype."""
        if switch.infers(x.device):
            return normed(x, Norm.of(self))[1]
        return nn.functional.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps).to(x.dtype)


class LayerNorm32(Float32, nn.LayerNorm):
    """Layer norm over the last axis, computed in float32 for inputs of any dtype."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., dim) to the same shape and dtype."""
        if switch.infers(input.device):
            return normed(input, Norm.of(self))[1]
        return super().forward(input.to(self.weight.dtype)).to(input.dtype)
