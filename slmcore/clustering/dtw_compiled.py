"""The loop of `slmcore.clustering.dtw`, compiled by numba. Imported late: numba is an optional extra."""

# numba infers the types of what it compiles.
# ruff: noqa: ANN001, ANN202

from __future__ import annotations

import numba
import numpy as np
from torch import Tensor

__all__ = ["by_numba"]


def by_numba(*arguments: Tensor) -> None:
    """Compiled equivalent of `slmcore.clustering.dtw.by_torch`."""
    _warp(*(x.numpy() for x in arguments))


@numba.njit("void(float64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[:, ::1])", nogil=True)
def _warp(costs, from_x, xs, from_y, ys, out):
    total = np.empty(ys.max())
    steps = np.empty(ys.max())
    for x in range(len(xs)):
        for y in range(len(ys)):
            for i in range(xs[x]):
                row = costs[from_x[x] + i]
                diagonal, its_steps = np.inf, 0.0
                for j in range(ys[y]):
                    # Here `total[j]` is still of the row above, `total[j - 1]` already of this one.
                    above, above_steps = (total[j], steps[j]) if i > 0 else (np.inf, 0.0)
                    best, length = diagonal, its_steps
                    if j > 0 and total[j - 1] < best:
                        best, length = total[j - 1], steps[j - 1]
                    if above < best:
                        best, length = above, above_steps
                    if i == 0 and j == 0:
                        best, length = 0.0, 0.0
                    diagonal, its_steps = above, above_steps
                    total[j], steps[j] = best + row[from_y[y] + j], length + 1
            out[x, y] = total[ys[y] - 1] / steps[ys[y] - 1]
