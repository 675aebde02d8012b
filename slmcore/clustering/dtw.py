"""Dynamic time warping (Sakoe and Chiba, 1978): costs of many pairs at once, and the path of one pair."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["align", "total_cost", "warp"]


def warp(costs: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Mean cost along the cheapest path of each pair: float64 (n, m).

    `costs`: float64 (X, Y) on the CPU, of every frame of n sequences, one after the other, to every frame of m others;
    `xs` (n,), `ys` (m,): their lengths, int64, all >= 1, with sums X and Y.

    A path runs from the first frames to the last by steps (1, 1), (0, 1) and (1, 0); its cost is divided by its number
    of frame pairs. Between equally cheap steps, in backtracking, the diagonal precedes y's and that x's, as in the
    published scorers. Compiled by numba where installed, with an equal result.
    """
    out = torch.empty(len(xs), len(ys), dtype=torch.float64)
    _loop()(costs.contiguous(), _starts(xs), xs, _starts(ys), ys, out)
    return out


def by_torch(costs: Tensor, from_x: Tensor, xs: Tensor, from_y: Tensor, ys: Tensor, out: Tensor) -> None:
    """Fill `out` (n, m) as `warp` defines it, all pairs in parallel."""
    rows: list[tuple[Tensor, Tensor]] = []
    for i in range(int(xs.max())):
        at_x = from_x + xs.sub(1).clamp(max=i)
        above, rows = rows, []
        for j in range(int(ys.max())):
            cost = costs[at_x][:, from_y + ys.sub(1).clamp(max=j)]
            if i == j == 0:
                total, steps = cost, torch.ones_like(cost)
            elif i == 0 or j == 0:
                total, steps = above[0] if j == 0 else rows[j - 1]
                total, steps = total + cost, steps + 1
            else:
                total, steps = _best(above[j - 1], rows[j - 1], above[j])
                total, steps = total + cost, steps + 1
            rows.append((total, steps))
            ends = (xs == i + 1)[:, None] & (ys == j + 1)
            out[ends] = (total / steps)[ends]


def _best(*ways: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the cheapest predecessor of a pair of frames, the first in a tie."""
    total, steps = ways[0]
    for other, length in ways[1:]:
        cheaper = other < total
        total, steps = torch.where(cheaper, other, total), torch.where(cheaper, length, steps)
    return total, steps


def _starts(lengths: Tensor) -> Tensor:
    return lengths.cumsum(0) - lengths


@cache
def _loop() -> Any:
    try:
        from slmcore.clustering.dtw_compiled import by_numba
    except ImportError:
        return by_torch
    return by_numba


def align(x: Tensor, reference: Tensor) -> Tensor:
    """Align each frame of `x` (T, D) to a frame of `reference` (S, D) by the cheapest path: int64 (T,).

    The path runs from the first frames to the last by steps (1, 0), (0, 1) and (1, 1), at the sum of the Euclidean
    distances of its pairs. Of several frames aligned to one, the middle one is taken.
    """
    totals = _totals(x, reference)
    partners: list[list[int]] = [[] for _ in range(len(totals))]
    t, s = len(totals) - 1, totals.shape[1] - 1
    while t > 0 or s > 0:
        partners[t].append(s)
        before = [(t - 1, s - 1), (t - 1, s), (t, s - 1)]
        t, s = min((p for p in before if min(p) >= 0), key=lambda p: totals[p])
    partners[0].append(0)
    return torch.tensor([found[len(found) // 2] for found in partners])


def total_cost(x: Tensor, reference: Tensor) -> float:
    """Return the cost of the path of `align`."""
    return float(_totals(x, reference)[-1, -1])


def _totals(x: Tensor, reference: Tensor) -> np.ndarray:
    """Cost of the cheapest path to each pair of frames: float64 (T, S)."""
    costs = torch.cdist(x.double(), reference.double()).numpy()
    totals = np.empty_like(costs)
    totals[0] = costs[0].cumsum()
    for t in range(1, len(costs)):
        above = totals[t - 1]
        entered = costs[t] + np.minimum(above, np.concatenate([[np.inf], above[:-1]]))
        # Steps along the row add its costs: subtract their cumulative sum, and a running minimum remains.
        along = costs[t].cumsum()
        totals[t] = np.minimum.accumulate(entered - along) + along
    return totals
