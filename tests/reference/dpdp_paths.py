"""Every implementation of the search behind one call on given distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dpdp import fallback, viterbi
from dpdp.blocks import blocks
from dpdp.online import OnlineSearch
from dpdp.viterbi import loops


def search(kind: Any, costs: Tensor, lengths: Sequence[int], lmbdas: Sequence[float], n: int, size: int) -> Tensor:
    """Framewise units (lambdas, frames) by a search class, taking `size` frames a block."""
    k = costs.shape[1]
    run = kind(k, lmbdas, lengths, torch.device("cpu"))
    first = 0
    for block in blocks(lengths, size):
        part = costs[first : first + sum(len(piece) for piece in block)].clone()
        first += len(part)
        if n < k:
            run.limit(part, n)
        run.advance(part, block)
    return run.units()


def cpu(costs: Tensor, lmbda: float, n: int) -> Tensor:
    compiled = partial(viterbi.CpuSearch, loops=loops())
    return search(compiled, costs, [len(costs)], [lmbda], n, max(1, len(costs) // 3))[0]


def without_numba(costs: Tensor, lmbda: float, n: int) -> Tensor:
    run = viterbi.CpuSearch(costs.shape[1], [lmbda], [len(costs)], torch.device("cpu"), fallback)
    part = costs.clone()
    if n < costs.shape[1]:
        run.limit(part, n)
    run.advance(part, next(blocks([len(costs)], len(costs))))
    return run.units()[0]


def online(costs: Tensor, lmbda: float, n: int) -> Tensor:
    stream = OnlineSearch(costs.shape[1], lmbda, n)
    step = max(1, len(costs) // 5)
    return torch.cat([*(stream.push(part) for part in costs.split(step)), stream.flush()])


PATHS: dict[str, Callable[[Tensor, float, int], Tensor]] = {
    "cpu": cpu,
    "without_numba": without_numba,
    "online": online,
}
