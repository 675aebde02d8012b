"""Fused residual sum, norm and activation of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, rms_norm

from slmcore.layers.fast.switch import kernels_run

__all__ = ["Norm", "normed", "plain"]


@dataclass(frozen=True)
class Norm:
    """Norm in float32 over the last axis."""

    weight: Tensor
    """float32 (C,)."""
    bias: Tensor | None
    """float32 (C,) of a layer norm; None for an RMS norm."""
    eps: float
    gelu: bool = False
    """Whether the exact GELU follows."""

    @classmethod
    def of(cls, module: nn.Module, gelu: bool = False) -> Norm:
        """Return the norm of a `LayerNorm32` or an `RMSNorm`."""
        part: Any = module
        return cls(part.weight, getattr(part, "bias", None), part.eps, gelu)


def normed(x: Tensor, norm: Norm, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return x + more, or x where there is no more, and its norm; shape (..., C) and dtype of x, both."""
    if not kernels_run(x):
        return plain(x, norm, more)
    from slmcore.layers.fast.kernels.norms import launch

    with torch.cuda.device_of(x):  # Triton launches on the current device
        return launch(x, norm, more)


def plain(x: Tensor, norm: Norm, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Reference implementation of `normed` in torch."""
    x = x if more is None else x + more
    wide = x.to(norm.weight.dtype)
    if norm.bias is None:
        y = rms_norm(wide, norm.weight.shape, norm.weight, norm.eps)
    else:
        y = layer_norm(wide, norm.weight.shape, norm.weight, norm.bias, norm.eps)
    return x, (gelu(y) if norm.gelu else y).to(x.dtype)
