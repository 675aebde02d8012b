"""Dynamic time warping of one recording to another of the same sentence (Sakoe and Chiba, 1978)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["align", "total_cost"]


def align(x: Tensor, reference: Tensor) -> Tensor:
    """For each frame of `x` (T, D) the frame of `reference` (S, D) that the cheapest path pairs it with: int64 (T,).

    The path runs from the first frames to the last by steps (1, 0), (0, 1) and (1, 1), its cost is the sum of the
    Euclidean distances of the pairs. Of several partners the middle one is taken.
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
    """Cost of the path that `align` follows."""
    return float(_totals(x, reference)[-1, -1])


def _totals(x: Tensor, reference: Tensor) -> np.ndarray:
    """Cost of the cheapest path to each pair of frames: float64 (T, S)."""
    costs = torch.cdist(x.double(), reference.double()).numpy()
    totals = np.empty_like(costs)
    totals[0] = costs[0].cumsum()
    for t in range(1, len(costs)):
        above = totals[t - 1]
        entered = costs[t] + np.minimum(above, np.concatenate([[np.inf], above[:-1]]))
        # Steps along the row add its costs: a running minimum, once their sum is taken away.
        along = costs[t].cumsum()
        totals[t] = np.minimum.accumulate(entered - along) + along
    return totals
