"""What the processes of a run on several devices do alike; alone, each function gives back what it was given."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor

__all__ = ["of_all", "of_first"]


def of_all(x: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(x)
    return x


def of_first(x: Tensor) -> Tensor:
    """What the first process has."""
    if dist.is_available() and dist.is_initialized():
        x = x.contiguous()
        dist.broadcast(x, 0)
    return x
