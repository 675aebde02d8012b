"""Loops over frames as Triton kernels. Imported late: Triton only comes with torch for CUDA.

One program searches one utterance at one lambda with its whole state in registers, so that a ragged batch is one launch
and a frame costs two reductions over the codes. The sums are those of `dpdp.fallback`, in the same order. Triton's
interpreter (`TRITON_INTERPRET=1`) runs the same kernels on a CPU.
"""

# Kernels have no annotations, and type checkers do not understand their launches.
# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

from dpdp.blocks import Piece
from slmcore.layers.fast import switch

__all__ = ["GpuSearch"]

_BLOCK_BYTES = 1 << 30
_CODES_A_WARP = 128


class GpuSearch:
    """Recursion on a GPU, without waiting for the device."""

    block_bytes = _BLOCK_BYTES

    def __init__(self, k: int, lmbdas: Sequence[float], lengths: Sequence[int], device: torch.device) -> None:
        self.k = k
        self.width = triton.next_power_of_2(k)
        self.warps = min(8, max(1, self.width // _CODES_A_WARP))
        self.spare = 31 - (k - 1).bit_length()
        self.narrow = switch.on(device) and max(lengths) < 1 << self.spare
        self.lmbdas = _on(device, torch.tensor(lmbdas, dtype=torch.float32))
        self.bounds = _bounds(lengths, device)
        shape = len(lmbdas), sum(lengths)
        self.best = torch.empty(shape, dtype=torch.int32, device=device)
        self.since = torch.empty_like(self.best)
        # Double-buffered state of an utterance that continues in the next block.
        self.lead = [torch.empty(len(lmbdas), k, dtype=torch.float32, device=device) for _ in range(2)]
        self.start = [torch.empty(len(lmbdas), k, dtype=torch.int32, device=device) for _ in range(2)]
        self.done = 0

    def limit(self, costs: Tensor, n: int) -> None:
        """Set all but the n lowest of each row to infinity, a tie for the last place going to the lower index."""
        _limit[(len(costs),)](costs, n, self.k, WIDTH=self.width, num_warps=self.warps)

    def advance(self, costs: Tensor, block: Sequence[Piece]) -> None:
        """Process a block of frames; keep the state of an utterance that continues in the next."""
        grid = len(block), len(self.lmbdas)
        _advance[grid](
            costs,
            self.lmbdas,
            _bounds([len(piece) for piece in block], costs.device),
            *(self.lead[0], self.start[0], self.lead[1], self.start[1]),
            *(self.best, self.since, self.best.shape[1]),
            *(self.done, self.k, 0 if block[0].begins else 1, 0 if block[-1].ends else 1),
            WIDTH=self.width,
            NARROW=self.narrow,
            SPARE=self.spare,
            num_warps=self.warps,
        )
        self.lead.reverse()
        self.start.reverse()
        self.done += len(costs)

    def units(self) -> Tensor:
        """Backtrack all utterances: int64 (lambdas, frames)."""
        units = torch.empty(self.best.shape, dtype=torch.int64, device=self.best.device)
        grid = len(self.bounds) - 1, len(units)
        _backtrack[grid](self.best, self.since, units, self.bounds, units.shape[1], WIDTH=32, num_warps=1)
        return units


def _bounds(lengths: Sequence[int], device: torch.device) -> Tensor:
    return _on(device, torch.tensor(list(accumulate(lengths, initial=0)), dtype=torch.int64))


def _on(device: torch.device, values: Tensor) -> Tensor:
    return values.to(device, non_blocking=True)


@triton.jit(do_not_specialize=["total", "done", "resumes", "goes_on"])
def _advance(
    costs,  # (frames, K)
    lmbdas,  # (L,)
    bounds,  # (pieces + 1,), rows of costs
    lead_in,  # (L, K)
    start_in,
    lead_out,
    start_out,
    best,  # (L, total)
    since,
    total,
    done,  # frames before this block
    k,
    resumes,  # whether the first segment continues the previous block
    goes_on,  # whether the last segment continues in the next block
    WIDTH: tl.constexpr,
    NARROW: tl.constexpr,  # whether reductions are of 32 bits, one instruction of a warp
    SPARE: tl.constexpr,  # bits of such a number beside those of a code
):
    piece, which = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first, last = tl.load(bounds + piece), tl.load(bounds + piece + 1)
    lmbda = tl.load(lmbdas + which)
    code = tl.arange(0, WIDTH)
    inside = code < k
    mine = which * k + code
    known = inside & (piece == 0) & (resumes != 0)
    lead = tl.load(lead_in + mine, mask=known, other=float("inf"))
    start = tl.load(start_in + mine, mask=known, other=0)
    # Frames are read ahead, so that the memory's latency hides behind the reductions.
    row = tl.load(costs + first * k + code, mask=inside, other=float("inf"))
    second = tl.load(costs + (first + 1) * k + code, mask=inside & (first + 1 < last), other=float("inf"))
    third = tl.load(costs + (first + 2) * k + code, mask=inside & (first + 2 < last), other=float("inf"))
    t = first
    while t < last:  # not `for`: the interpreter cannot take bounds from memory
        fourth = tl.load(costs + (t + 3) * k + code, mask=inside & (t + 3 < last), other=float("inf"))
        stays = lead < lmbda
        start = tl.where(stays, start, (done + t).to(tl.int32))
        value = row + tl.where(stays, lead - lmbda, 0.0)
        lowest = _lowest(value) if NARROW else tl.min(value, 0)
        lead = value - lowest
        at = which * total + done + t
        if NARROW:
            # The lowest of the best codes and the frames since its start, packed into one number.
            both = (code << SPARE) | ((done + t).to(tl.int32) - start)
            lowest_of_both = tl.min(tl.where(value == lowest, both, 0x7FFFFFFF), 0)
            tl.store(best + at, lowest_of_both >> SPARE)
            tl.store(since + at, (done + t).to(tl.int32) - (lowest_of_both & ((1 << SPARE) - 1)))
        else:
            both = (code.to(tl.int64) << 32) | start.to(tl.int64)
            lowest_of_both = tl.min(tl.where(value == lowest, both, 0x7FFFFFFF00000000), 0)
            tl.store(best + at, (lowest_of_both >> 32).to(tl.int32))
            tl.store(since + at, (lowest_of_both & 0xFFFFFFFF).to(tl.int32))
        row, second, third = second, third, fourth
        t += 1
    kept = inside & (piece == tl.num_programs(0) - 1) & (goes_on != 0)
    tl.store(lead_out + mine, lead, mask=kept)
    tl.store(start_out + mine, start, mask=kept)


@triton.jit
def _ordered(value):
    # Integers ordered like the floats, -0 below 0.
    return _flipped(value.to(tl.int32, bitcast=True))


@triton.jit
def _flipped(bits):
    # Its own inverse.
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _lowest(value):
    return _flipped(tl.min(_ordered(value), 0)).to(tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["total"])
def _backtrack(best, since, units, bounds, total, WIDTH: tl.constexpr):
    utterance, which = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first, last = tl.load(bounds + utterance), tl.load(bounds + utterance + 1)
    row = which * total
    frame = tl.arange(0, WIDTH)
    end = last - 1
    while end >= first:
        code = tl.load(best + row + end).to(tl.int64)
        begin = tl.load(since + row + end).to(tl.int64)
        t = begin
        while t <= end:
            tl.store(units + row + t + frame, tl.zeros((WIDTH,), tl.int64) + code, mask=t + frame <= end)
            t += WIDTH
        end = begin - 1


@triton.jit(do_not_specialize=["n"])
def _limit(costs, n, k, WIDTH: tl.constexpr):
    code = tl.arange(0, WIDTH)
    inside = code < k
    at = costs + tl.program_id(0).to(tl.int64) * k + code
    value = tl.load(at, mask=inside, other=float("inf"))
    # The n-th lowest is found by bisection; 0 and -0 coincide.
    key = _ordered(tl.where(value == 0.0, 0.0, value))
    low = tl.min(key, 0)
    high = tl.max(tl.where(inside, key, low), 0)
    for _ in range(32):
        middle = (low & high) + ((low ^ high) >> 1)  # without overflow
        enough = tl.sum(((key <= middle) & inside).to(tl.int32), 0) >= n
        low = tl.where(enough, low, tl.minimum(middle + 1, high))
        high = tl.where(enough, middle, high)
    room = n - tl.sum(((key < high) & inside).to(tl.int32), 0)
    ties = (key == high) & inside
    out = (key > high) | (ties & (tl.cumsum(ties.to(tl.int32), 0) > room))
    tl.store(at, tl.full((WIDTH,), float("inf"), tl.float32), mask=inside & out)
