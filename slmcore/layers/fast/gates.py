"""SwiGLU's gate on the two halves of one product."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import silu

from slmcore.layers.fast.switch import kernels_run

__all__ = ["gated", "plain"]


def gated(x: Tensor) -> Tensor:
    """Return silu(a) * b, (N, F), for x = [a, b] (N, 2 F)."""
    if not kernels_run(x):
        return plain(x)
    from slmcore.layers.fast.kernels.gates import launch

    with torch.cuda.device_of(x):  # Triton launches on the current device
        return launch(x)


def plain(x: Tensor) -> Tensor:
    """Reference implementation of `gated` in torch."""
    a, b = x.chunk(2, -1)
    return silu(a) * b
