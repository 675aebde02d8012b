"""Independent oracles of DPDP: every path of a tiny problem, and the recursion over codes in float64."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np


def all_optimal(distances: np.ndarray, lmbda: float) -> tuple[float, list[tuple[int, ...]]]:
    """The lowest objective of all K^T paths, and the paths that reach it (exactly: give integers)."""
    frames, k = distances.shape
    values = {
        path: sum(float(distances[t, u]) for t, u in enumerate(path)) - lmbda * sum(a == b for a, b in pairwise(path))
        for path in product(range(k), repeat=frames)
    }
    lowest = min(values.values())
    return lowest, [path for path, value in values.items() if value == lowest]


def preferred(paths: list[tuple[int, ...]], lmbda: float) -> tuple[int, ...]:
    """The documented choice among optimal paths: lowest last code; going back, switch if that is as good."""
    chosen = [min(path[-1] for path in paths)]
    for t in range(len(paths[0]) - 2, -1, -1):
        paths = [path for path in paths if path[t + 1] == chosen[0]]
        switches = [path[t] for path in paths if path[t] != chosen[0] or lmbda == 0]
        chosen.insert(0, min(switches, default=chosen[0]))
    return tuple(chosen)


def optimum(distances: np.ndarray, lmbda: float) -> float:
    """The lowest objective in float64, by V_t(k) = d_t(k) + min(V_{t-1}(k) - lambda, min V_{t-1})."""
    total, lead = 0.0, np.full(distances.shape[1], np.inf)
    for row in distances.astype(np.float64, copy=False):
        value = row + np.minimum(lead - lmbda, 0.0)
        lowest = value.min()
        total += lowest
        lead = value - lowest
    return total


def limited(distances: np.ndarray, n: int) -> np.ndarray:
    """Infinity for all but the n lowest of each row, by a stable sort."""
    keep = np.argsort(distances, axis=1, kind="stable")[:, :n]
    result = np.full(distances.shape, np.inf)
    np.put_along_axis(result, keep, np.take_along_axis(distances, keep, 1), 1)
    return result
