"""Bit rate of units, units per second, and codebook usage.

The bit rate is the number of units without repeats x the entropy of their distribution over the whole set / its seconds
(Visser and Kamper, arXiv 2505.23494): what a code that knows only how often each unit occurs would take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slmcore.units import Units
from slmzoo.evaluation.report.statistics import Statistic, ratio

__all__ = ["bit_rate", "bits", "codes_used", "entropy", "perplexity", "units_per_second"]


def bit_rate(units: Sequence[Units]) -> Statistic:
    """Bits a second of utterances (n,) of units without repeats; see `dpdp.bits_per_second`."""
    counts, seconds = _counts(units), np.array([u.seconds for u in units])

    def of(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        totals = drawn @ counts
        return totals.sum(1) * entropy(totals) / (drawn @ seconds)

    return of


def bits(units: Sequence[Units]) -> list[float]:
    """Code length in bits of each utterance under the corpus's unigram distribution; the sum is bit rate x duration."""
    counts = _counts(units)
    total = counts.sum(0)
    lengths = -np.log2(total / total.sum(), out=np.zeros_like(total), where=total > 0)
    return (counts @ lengths).tolist()


def perplexity(units: Sequence[Units]) -> Statistic:
    """Two to the entropy of the units' distribution: as many equally frequent codes would cost as much."""
    counts = _counts(units)
    return lambda drawn: 2 ** entropy(drawn @ counts)


def units_per_second(units: Sequence[Units]) -> Statistic:
    """Units without repeats a second, of utterances (n,)."""
    return ratio([len(u) / u.seconds for u in units], [u.seconds for u in units])


def codes_used(units: Sequence[Units]) -> int:
    """Number of distinct units."""
    return int((_counts(units).sum(0) > 0).sum())


def entropy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits of the distribution in each row (n, kinds); what never occurs takes no part."""
    shares = counts / counts.sum(1, keepdims=True)
    return -(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)).sum(1)


def _counts(units: Sequence[Units]) -> NDArray[np.float64]:
    """Count each unit in each utterance: (n, highest unit + 1)."""
    found = [u.units.cpu().bincount().double().numpy() for u in units]
    kinds = max(map(len, found))
    return np.stack([np.pad(row, (0, kinds - len(row))) for row in found])
