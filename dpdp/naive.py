"""Objective and recursion as in the paper: the oracle of the fast implementations.

Kamper, "Word segmentation on discovered phone units with dynamic programming and self-supervised scoring",
arXiv 2202.11929: choose units u_1..u_T to minimise sum_t d_t(u_t) - lambda * #{t > 1: u_t = u_{t-1}}.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["naive", "objective"]


def naive(distances: Tensor, lmbda: float) -> Tensor:
    """Search the start s of the segment that ends at each frame t, in O(T^2 K) time and float64.

    `distances`: (T, K), inf where a code is not allowed. Ties go to the lowest code, then to the latest start. Returns
    framewise units, int64 (T,).
    """
    frames = len(distances)
    d = distances.double()
    alpha = torch.zeros(frames + 1, dtype=torch.float64)
    starts, codes = [0] * frames, [0] * frames
    segment = torch.empty(frames, d.shape[1], dtype=torch.float64)
    for t in range(frames):
        segment[t] = alpha[t]
        segment[: t + 1] += d[t]  # row s: the best path up to s, then one code over s..t
        segment[:t] -= lmbda
        alpha[t + 1] = segment[: t + 1].min()
        is_best = segment[: t + 1] == alpha[t + 1]
        codes[t] = int(is_best.any(0).nonzero()[0])
        starts[t] = int(is_best[:, codes[t]].nonzero()[-1])
    units = torch.empty(frames, dtype=torch.int64)
    end = frames
    while end > 0:
        units[starts[end - 1] : end] = codes[end - 1]
        end = starts[end - 1]
    return units


def objective(distances: Tensor, units: Tensor, lmbda: float) -> float:
    """Return the objective of framewise `units` (T,) on `distances` (T, K), summed in float64."""
    chosen = distances.double().gather(1, units.long()[:, None]).sum()
    return float(chosen) - lmbda * int((units[1:] == units[:-1]).sum())
