"""Edit distances of units: how alike two recordings are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["distances", "edits"]


def edits(a: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Levenshtein distances of one sequence to each of several: int64 (len(others),)."""
    lengths = np.array([len(b) for b in others])
    steps = np.arange(lengths.max(initial=0) + 1)
    padded = np.full((len(others), len(steps) - 1), -1)
    for row, b in zip(padded, others, strict=True):
        row[: len(b)] = b
    best = np.tile(steps, (len(others), 1))
    for i, unit in enumerate(a, 1):
        kept = np.minimum(best[:, 1:] + 1, best[:, :-1] + (padded != unit))
        # Insertions cost one each: subtract that slope, and a running minimum remains.
        best = np.minimum.accumulate(np.pad(kept, ((0, 0), (1, 0)), constant_values=i) - steps, axis=1) + steps
    return best[np.arange(len(others)), lengths]


def distances(a: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return edit distances over the longer length, 0..1: float64 (len(others),)."""
    return edits(a, others) / np.array([max(len(a), len(b), 1) for b in others])
