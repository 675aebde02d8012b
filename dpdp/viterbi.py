"""Exact O(T K) search over ragged batches and several lambdas, in bounded memory, on a CPU or a GPU.

DPDP is a Potts chain: V_t(k) = d_t(k) + min(V_{t-1}(k) - lambda, min_j V_{t-1}(j)). Frames are processed in blocks:
distances by one matrix product, then the recursion, after which the block's distances are dropped. V is renormalised at
every step, so that float32 suffices for hours. Paths only ever leave a code for the best one, so that only the best
code of each frame and the start of its segment are kept: O(T + K) memory.

Ties: the path ends on the lowest of the best codes; in backtracking, a step that may as well switch does, to the lowest
of the codes that were best. With lambda = 0 this is the nearest code, the lowest in a tie. All implementations
(`naive`, compiled, torch, GPU, online) follow this rule.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dpdp import fallback
from dpdp.blocks import Piece, blocks
from dpdp.distances import Codes, check_squares
from slmcore.layers.fast import switch
from slmcore.layers.fast.weights import view_of
from slmcore.threads import for_products

__all__ = ["CpuSearch", "Loops", "decode", "loops"]

_BLOCK_BYTES = 4 << 20  # fits a core's cache
_LIMIT_TASK_FRAMES = 256
_FRAMES_WITHOUT_NUMBA = 1000
"""Frames after which numba is loaded: 20 s of speech. While numba loads, torch calls could search some 10,000 frames,
and several times as many if the loops must be compiled."""


def decode(features: Sequence[Tensor], codes: Codes, lmbdas: Sequence[float], num_neighbors: int) -> Tensor:
    """Return the best units of each utterance (T_i, D) at each lambda: framewise int64 (lambdas, sum of T_i).

    Raises a ValueError if the features hold NaN, infinity or squares beyond float32. Other checks are the caller's.
    """
    lengths = [len(x) for x in features]
    k, dim = codes.shape
    device = codes.norms.device
    # Triton launches on the current device.
    with torch.cuda.device_of(codes.norms), for_products(device, sum(lengths) * len(lmbdas), k * dim):
        search = search_for(device)(k, lmbdas, lengths, device)
        return _run(search, features, codes, num_neighbors)


def _run(search: Any, features: Sequence[Tensor], codes: Codes, num_neighbors: int) -> Tensor:
    lengths = [len(x) for x in features]
    largest = codes.norms.new_zeros(())
    for block in blocks(lengths, max(1, search.block_bytes // (4 * max(codes.shape)))):
        frames = [_frames(features[piece.utterance], piece) for piece in block]
        costs, norm = codes.costs(end_to_end(frames))
        largest = torch.maximum(largest, norm)  # NaN stays
        if not largest.is_cuda:
            check_squares(largest, features)
        if num_neighbors < len(codes):
            search.limit(costs, num_neighbors)
        search.advance(costs, block)
    units = search.units()
    check_squares(largest, features)  # on a GPU only after all work is queued
    return units


def _frames(utterance: Tensor, piece: Piece) -> Tensor:
    return utterance if piece.begins and piece.ends else utterance[piece.first : piece.last]


def end_to_end(frames: Sequence[Tensor]) -> Tensor:
    """Return frames (n_i, D) as one (sum of n_i, D), on a GPU without a copy where they lie so, as in a batch."""
    first = frames[0].detach()
    if len(frames) == 1:
        return first
    whole = view_of(frames) if switch.on(first.device) else None
    return torch.cat(list(frames)) if whole is None else whole


@cache
def loops() -> Any:
    """Return the module of compiled loops, or that of torch calls without numba."""
    try:
        from dpdp import compiled
    except ImportError:
        return fallback
    return compiled


class Loops:
    """Torch calls for the first frames of a process, then compiled loops: short speech never waits for numba."""

    def __init__(self, frames: int = _FRAMES_WITHOUT_NUMBA) -> None:
        """`frames`: number of frames searched without numba."""
        self._left = frames

    def __call__(self, frames: int) -> Any:
        """Return the module of loops for so many further frames, counted per lambda."""
        if self._left < frames or "dpdp.compiled" in sys.modules:
            self._left = 0
            return loops()
        self._left -= frames
        return fallback


_loops_for = Loops()


class CpuSearch:
    """Recursion on a CPU: compiled if numba pays off, with threads over utterances, lambdas and frames."""

    block_bytes = _BLOCK_BYTES

    def __init__(
        self, k: int, lmbdas: Sequence[float], lengths: Sequence[int], device: torch.device, loops: Any = None
    ) -> None:
        """`loops`: module of loops, by default chosen by `Loops`."""
        self.k = k
        self.lmbdas = lmbdas
        self.device = device
        self.loops = _loops_for(sum(lengths) * len(lmbdas)) if loops is None else loops
        self.best = torch.empty(len(lmbdas), sum(lengths), dtype=torch.int32)
        self.since = torch.empty_like(self.best)
        self.states = [fresh_state(k) for _ in lmbdas]  # of the utterance that continues in the next block
        self.done = 0

    def limit(self, costs: Tensor, n: int) -> None:
        """Set all but the n lowest of each row to infinity, a tie for the last place going to the lower index."""
        host = costs.cpu()
        _together([(self.loops.limit, part, n) for part in host.split(_LIMIT_TASK_FRAMES)])
        if host is not costs:
            costs.copy_(host)

    def advance(self, costs: Tensor, block: Sequence[Piece]) -> None:
        """Process a block of frames."""
        jobs: list[tuple[Any, ...]] = []
        for piece, part in zip(block, costs.cpu().split([len(piece) for piece in block]), strict=True):
            if piece.begins:
                self.states = [fresh_state(self.k) for _ in self.lmbdas]
            frames = slice(self.done, self.done + len(piece))
            for i, lmbda in enumerate(self.lmbdas):
                outputs = self.best[i, frames], self.since[i, frames]
                jobs.append((self.loops.advance, part, lmbda, *self.states[i], self.done, *outputs))
            self.done = frames.stop
        _together(jobs)

    def units(self) -> Tensor:
        """Backtrack all utterances: int64 (lambdas, frames)."""
        units = torch.empty(self.best.shape, dtype=torch.int64)
        _together([(self.loops.backtrack, *rows) for rows in zip(self.best, self.since, units, strict=True)])
        return units.to(self.device)


def fresh_state(k: int) -> tuple[Tensor, Tensor]:
    """Return the search state before the first frame: each code's cost above the best, and its segment start."""
    return torch.full((k,), torch.inf), torch.zeros(k, dtype=torch.int32)


def search_for(device: torch.device) -> type[Any]:
    """Return the search for a device: Triton's on CUDA, else the CPU's, to which distances are copied."""
    if device.type == "cuda":
        try:
            from dpdp.kernel import GpuSearch
        except ImportError:
            return CpuSearch
        return GpuSearch
    return CpuSearch


def _together(jobs: Sequence[tuple[Any, ...]]) -> None:
    """Call each (function, *arguments) on as many threads as torch uses."""
    threads = min(len(jobs), torch.get_num_threads())
    if threads == 1:
        for function, *arguments in jobs:
            function(*arguments)
        return
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(function, *arguments) for function, *arguments in jobs]:
            future.result()
