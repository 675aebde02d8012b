"""Long sequences through convolutions in segments that overlap by their reach: the result of the whole, less memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from slmcore.layers.streaming import Chain, Conv1d, ConvTranspose1d

__all__ = ["in_segments", "reach"]


def in_segments(chain: Chain, x: Tensor, taken: int, made: int, frames: int) -> Tensor:
    """Return `chain(x)`, (B, out, n), for x (B, into, T), computed `frames` frames at a time.

    A frame is `taken` samples of x and `made` samples of the result, n = ceil(T / taken) * made.
    """
    total, margin = -(-x.shape[-1] // taken), reach(chain.modules(), taken)
    if total <= frames:
        return chain(x)
    parts = []
    for first in range(0, total, frames):
        last, begin = min(total, first + frames), max(0, first - margin)
        segment = chain(x[..., begin * taken : (last + margin) * taken])
        parts.append(segment[..., (first - begin) * made : (last - begin) * made])
    return torch.cat(parts, -1)


def reach(modules: Iterable[nn.Module], taken: int) -> int:
    """Return how many frames of `taken` samples away an input can matter, at most, on either side."""
    samples, rate = 0.0, 1.0
    for module in modules:
        if isinstance(module, Conv1d):
            samples += (module.kernel_size[0] - 1) * module.dilation[0] / rate
            rate /= module.stride[0]
        elif isinstance(module, ConvTranspose1d):
            samples += math.ceil(module.kernel_size[0] / module.stride[0]) / rate
            rate *= module.stride[0]
    return math.ceil(samples / taken)
