"""The switch between the plain computation and the fast one for GPUs.

`SLMZOO_FAST=1` turns the fast one on for CUDA devices in the whole process; without it everything is computed as on a
CPU. `SLMZOO_FAST=rehearse` turns it on for other devices too, with plain functions in place of the kernels: the results
are those of the fast path, the speed is not.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["VARIABLE", "Mode", "infers", "interpreted", "kernels_run", "on", "using"]

VARIABLE = "SLMZOO_FAST"
Mode = Literal["0", "1", "rehearse"]


def _checked(mode: str) -> str:
    if mode not in get_args(Mode):
        raise ValueError(must(VARIABLE, f"one of {', '.join(get_args(Mode))}", mode, "0 is the plain computation."))
    return mode


_mode = _checked(os.environ.get(VARIABLE) or "0")
interpreted = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether Triton's interpreter runs the kernels, on a CPU: for tests."""
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_has_triton = importlib.util.find_spec("triton") is not None


def on(device: torch.device) -> bool:
    """Return whether the fast path is enabled on `device`."""
    return _mode == "rehearse" or (_mode == "1" and device.type == "cuda")


def infers(device: torch.device) -> bool:
    """Return whether the fast path is enabled on `device` and gradients, which the kernels do not have, are off."""
    return on(device) and not torch.is_grad_enabled()


def kernels_run(x: Tensor) -> bool:
    """Return whether Triton's kernels run on `x`; the plain functions beside them do otherwise."""
    return _has_triton and (x.is_cuda or interpreted) and x.dtype in _DTYPES


@contextmanager
def using(mode: Mode) -> Iterator[None]:
    """Override SLMZOO_FAST for the whole process within the context."""
    global _mode  # noqa: PLW0603
    before, _mode = _mode, _checked(mode)
    try:
        yield
    finally:
        _mode = before
