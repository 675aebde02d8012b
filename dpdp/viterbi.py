"""The exact O(T K) search over ragged batches and many lambdas, in bounded memory, on a CPU or a GPU.

DPDP is a Potts chain: V_t(k) = d_t(k) + min(V_{t-1}(k) - lambda, min_j V_{t-1}(j)). Frames are taken in blocks:
distances by one matrix product, then the recursion, then the block's distances are dropped. V is renormalised at every
step, so that float32 lasts for hours.

Ties: the path ends on the lowest code of those that are best; going back, a step that may as well switch does, to the
lowest code of those that were best. With lambda = 0 this is the nearest code, the lowest one of equals. All paths
(`naive`, compiled, torch, GPU, online) follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dpdp import fallback
from dpdp.distances import Codes, check_squares

__all__ = ["decode"]

_CPU_BLOCK_BYTES = 16 << 20
_GPU_BLOCK_BYTES = 1 << 30
_LIMIT_TASK_FRAMES = 256


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Frames first..last of one utterance, of which some may lie in blocks before or after."""

    utterance: int
    first: int
    last: int
    begins: bool
    ends: bool


def decode(features: Sequence[Tensor], codes: Codes, lmbdas: Sequence[float], num_neighbors: int) -> Tensor:
    """Best units of each utterance (T_i, D) at each lambda: framewise int64 (lambdas, sum of T_i)."""
    search = CpuSearch(len(codes), lmbdas, sum(len(x) for x in features))
    largest = codes.norms.new_zeros(())
    frames_a_block = max(1, search.block_bytes // (4 * max(len(codes), len(codes.centre))))
    for block in _blocks([len(x) for x in features], frames_a_block):
        frames = [features[piece.utterance][piece.first : piece.last] for piece in block]
        costs, square = codes.costs(frames[0] if len(frames) == 1 else torch.cat(frames))
        largest = torch.maximum(largest, square)  # NaN stays
        if num_neighbors < len(codes):
            search.limit(costs, num_neighbors)
        search.advance(costs, block)
    units = search.units()
    check_squares(largest, list(features))
    return units


def _blocks(lengths: Sequence[int], size: int) -> Iterator[list[Piece]]:
    """Cut the utterances, one after the other, into blocks of `size` frames."""
    block: list[Piece] = []
    room = size
    for utterance, length in enumerate(lengths):
        first = 0
        while first < length:
            last = min(length, first + room)
            block.append(Piece(utterance=utterance, first=first, last=last, begins=first == 0, ends=last == length))
            room -= last - first
            first = last
            if room == 0:
                yield block
                block, room = [], size
    if block:
        yield block


class CpuSearch:
    """The recursion on a CPU: compiled if numba is there, threads over utterances, lambdas and frames to limit."""

    block_bytes = _CPU_BLOCK_BYTES

    def __init__(self, k: int, lmbdas: Sequence[float], frames: int) -> None:
        self.lmbdas = lmbdas
        self.loops = loops()
        self.best = torch.empty(len(lmbdas), frames, dtype=torch.int32)
        self.since = torch.empty_like(self.best)
        self.fresh = torch.full((k,), torch.inf), torch.zeros(k, dtype=torch.int32)
        self.open: list[tuple[Tensor, Tensor]] = [self._state() for _ in lmbdas]
        self.done = 0

    def _state(self) -> tuple[Tensor, Tensor]:
        lead, start = self.fresh
        return lead.clone(), start.clone()

    def limit(self, costs: Tensor, n: int) -> None:
        """Set all but the n lowest of each row to infinity."""
        costs = costs.cpu()
        _together([(self.loops.limit, part, n) for part in costs.split(_LIMIT_TASK_FRAMES)])

    def advance(self, costs: Tensor, block: Sequence[Piece]) -> None:
        """Take the block's frames; the last piece's state is kept, should its utterance go on."""
        costs = costs.cpu()
        jobs, row = [], 0
        for piece in block:
            rows = slice(row, row + piece.last - piece.first)
            row = rows.stop
            at = slice(self.done + rows.start, self.done + rows.stop)
            for i, lmbda in enumerate(self.lmbdas):
                lead, start = self.open[i] if not piece.begins else self._state()
                jobs.append(
                    (self.loops.advance, costs[rows], lmbda, lead, start, at.start, self.best[i, at], self.since[i, at])
                )
                if piece is block[-1]:
                    self.open[i] = lead, start
        _together(jobs)
        self.done += row

    def units(self) -> Tensor:
        """Backtrack all utterances: int64 (lambdas, frames)."""
        units = torch.empty(self.best.shape, dtype=torch.int64)
        _together([(self.loops.backtrack, *rows) for rows in zip(self.best, self.since, units, strict=True)])
        return units


@cache
def loops() -> Any:  # noqa: ANN401
    """The compiled loops behind torch signatures, or the loops of torch calls where numba is missing."""
    try:
        from dpdp import compiled
    except ImportError:
        return fallback
    return compiled


def _together(jobs: Sequence[tuple[Any, ...]]) -> None:
    """Call each (function, *arguments), on as many threads as torch uses."""
    threads = min(len(jobs), torch.get_num_threads())
    if threads == 1:
        for function, *arguments in jobs:
            function(*arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(function, *arguments) for function, *arguments in jobs]:
            future.result()
