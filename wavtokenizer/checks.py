"""What a sequence of codes must be."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["check_codes"]


def check_codes(codes: Tensor, axes: int, size: int) -> None:
    """Raise a ValueError unless `codes` is an integer tensor of 1 axis, or (1, 1, frames) of 3, within 0..size - 1."""
    shape = "(1, 1, frames)" if axes == 3 else "(frames,)"
    if not isinstance(codes, Tensor) or codes.ndim != axes or any(n != 1 for n in codes.shape[:-1]):
        raise ValueError(must("codes", f"an integer tensor {shape}", _described(codes)))
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(must("codes", f"an integer tensor {shape}", _described(codes), "Use `codes.long()`."))
    if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= size):
        remedy = "Were they made by another codec?"
        found = f"a tensor with values from {int(codes.min())} to {int(codes.max())}"
        raise ValueError(must("codes", f"from 0 to {size - 1}", found, remedy))


def _described(value: object) -> object:
    return f"a {value.dtype} tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else value
