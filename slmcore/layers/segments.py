"""Convolution of long sequences in segments that overlap by its reach: equal to the whole, in less memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from slmcore.layers.streaming import Conv1d, ConvTranspose1d

__all__ = ["in_segments", "reach"]


def in_segments(
    module: nn.Module | Callable[[Tensor], Tensor],
    x: Tensor,
    taken: int,
    made: int,
    frames: int,
    margin: int | None = None,
) -> Tensor:
    """Return `module(x)`, (B, ..., n), for x (B, into, T), computed `frames` frames at a time, all items counted.

    A frame is `taken` samples of x and `made` samples of the result, n = ceil(T / taken) * made. `margin`: frames that
    segments overlap by on either side; None for a chain of convolutions, whose reach is known. For a function whose
    reach has no end, as that of an LSTM, the result is that of the whole only about as far as a margin tells.
    """
    total = -(-x.shape[-1] // taken)
    if total <= frames:
        return torch.cat([module(items) for items in x.split(max(1, frames // max(1, total)))])
    if len(x) > 1:
        return torch.cat([in_segments(module, item, taken, made, frames, margin) for item in x.split(1)])
    if margin is None:
        margin = reach(module.modules(), taken) if isinstance(module, nn.Module) else 0
    parts = []
    for first in range(0, total, frames):
        last, begin = min(total, first + frames), max(0, first - margin)
        segment = module(x[..., begin * taken : (last + margin) * taken])
        parts.append(segment[..., (first - begin) * made : (last - begin) * made])
    return torch.cat(parts, -1)


def reach(modules: Iterable[nn.Module], taken: int) -> int:
    """Return the reach of the module on either side, in frames of `taken` samples."""
    samples, rate = 0.0, 1.0
    for module in modules:
        if isinstance(module, Conv1d):
            samples += (module.kernel_size[0] - 1) * module.dilation[0] / rate
            rate /= module.stride[0]
        elif isinstance(module, ConvTranspose1d):
            samples += math.ceil(module.kernel_size[0] / module.stride[0]) / rate
            rate *= module.stride[0]
    return math.ceil(samples / taken)
