"""Residual sum, norm, product and gate of rows: separate passes for many rows, one for the few of a decoding step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from slmcore.layers.fast.gates import gated
from slmcore.layers.fast.norms import Norm, normed
from slmcore.layers.fast.switch import kernels_run

__all__ = ["FEW", "plain", "product"]

FEW = 4
"""Most rows of the one pass, which reads each weight once and multiplies outside of the matrix units."""


def product(
    x: Tensor, weight: Tensor, norm: Norm | None = None, more: Tensor | None = None, gate: bool = False
) -> tuple[Tensor, Tensor]:
    """Return x + more, (N, C), or x where there is no more, and the product of its norm with a weight (F, C): (N, F).

    `norm`: an RMS norm, or None for none; `gate`: silu(a) * b of the halves [a, b] of the product instead, (N, F / 2).
    """
    if len(x) > FEW or not kernels_run(x) or x.dtype != weight.dtype:
        return plain(x, weight, norm, more, gate)
    from slmcore.layers.fast.kernels.products import launch

    with torch.cuda.device_of(x):  # Triton launches on the current device
        return launch(x, weight, norm, more, gate)


def plain(
    x: Tensor, weight: Tensor, norm: Norm | None = None, more: Tensor | None = None, gate: bool = False
) -> tuple[Tensor, Tensor]:
    """Reference implementation of `product` in separate passes."""
    if norm is None:
        x = seen = x if more is None else x + more
    else:
        x, seen = normed(x, norm, more)
    made = linear(seen, weight)
    return x, (gated(made) if gate else made)
