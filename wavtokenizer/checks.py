"""Checks of code sequences."""

from __future__ import annotations

from torch import Tensor

from slmcore.errors import must
from slmcore.layers import vq

__all__ = ["check_codes"]


def check_codes(codes: Tensor, axes: int, size: int) -> None:
    """Raise a ValueError unless `codes` is an integer tensor of 1 axis, or (1, 1, frames) of 3, within 0..size - 1."""
    shape = "(1, 1, frames)" if axes == 3 else "(frames,)"
    vq.check_codes(codes, size, shape, axes)
    if any(n != 1 for n in codes.shape[:-1]):
        raise ValueError(must("codes", f"an integer tensor {shape}", f"a {codes.dtype} tensor of {tuple(codes.shape)}"))
