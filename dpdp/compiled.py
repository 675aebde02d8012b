"""Loops over frames and codes for the CPU, compiled by numba. Imported late: numba is an optional extra.

Every loop computes the same sums in the same order as `dpdp.fallback` and `dpdp.kernel`, for bit-identical results.
`nnan` and `nsz` let LLVM vectorise the minimum, which is exact in any order; infinities keep their meaning.
"""

# numba infers the types of what it compiles.
# ruff: noqa: ANN001, ANN201, ANN202

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numba
import numpy as np
from torch import Tensor

__all__ = ["advance", "backtrack", "limit"]

_EXACT = {"nnan", "nsz"}


def _compile(signature: str, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile for arrays, cache the result on disk if possible, and accept CPU tensors."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        try:
            compiled = numba.njit(signature, nogil=True, cache=True, **options)(function)
        except (RuntimeError, OSError):  # neither this folder nor the user's cache can be written
            compiled = numba.njit(signature, nogil=True, **options)(function)

        def call(*arguments: object) -> None:
            compiled(*(x.numpy() if isinstance(x, Tensor) else x for x in arguments))

        return wraps(function)(call)

    return decorate


@_compile("void(float32[:, ::1], float32, float32[::1], int32[::1], int64, int32[::1], int32[::1])", fastmath=_EXACT)
def advance(costs, lmbda, lead, start, first, best, since):
    """Run the recursion over `costs`; see `dpdp.fallback.advance`."""
    frames, k = costs.shape
    lowest = np.float32(0)
    for t in range(frames):
        previous, lowest = lowest, np.float32(np.inf)
        now = np.int32(first + t)
        row = costs[t]
        for i in range(k):
            behind = lead[i] - previous
            stays = behind < lmbda
            value = row[i] + (behind - lmbda if stays else np.float32(0))
            start[i] = start[i] if stays else now
            lead[i] = value
            lowest = min(lowest, value)
        winner = 0
        while winner < k - 1 and lead[winner] != lowest:
            winner += 1
        best[t] = winner
        since[t] = start[winner]
    for i in range(k):
        lead[i] -= lowest


@_compile("void(int32[::1], int32[::1], int64[::1])")
def backtrack(best, since, units):
    """Follow the segments from the last frame to the first; see `dpdp.fallback.backtrack`."""
    end = len(best)
    while end > 0:
        begin, code = since[end - 1], best[end - 1]
        for t in range(begin, end):
            units[t] = code
        end = begin


@numba.njit(nogil=True, inline="always")
def _keep(row, highest, surplus):
    for i in range(len(row)):
        row[i] = row[i] if row[i] <= highest else np.float32(np.inf)
    i = len(row) - 1
    while surplus > 0 and i >= 0:
        if row[i] == highest:
            row[i] = np.float32(np.inf)
            surplus -= 1
        i -= 1


@_compile("void(float32[:, ::1], int64)", fastmath=_EXACT)
def limit(costs, n):
    """Set all but the `n` lowest of each row to infinity; ties for the last place go to the lower index."""
    frames, k = costs.shape
    for t in range(frames):
        row = costs[t]
        low, high = row[0], row[0]
        for i in range(k):
            low, high = min(low, row[i]), max(high, row[i])
        # Bisect until exactly n values lie at or below `high`, or no float32 is left in the interval.
        count = k
        while count != n:
            middle = low + (high - low) * np.float32(0.5)
            if middle >= high:
                break
            below = np.int32(0)
            for i in range(k):
                below += np.int32(row[i] <= middle)
            if below >= n:
                high, count = middle, below
            elif middle > low:
                low = middle
            else:
                break
        _keep(row, high, count - n)
