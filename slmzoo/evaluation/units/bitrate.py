"""Bit rate, units per second, and codebook usage.

Bit rate: number of deduplicated units x the entropy of their distribution over the whole set / its seconds (Visser and
Kamper, arXiv 2505.23494), the cost under an ideal unigram code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slmcore.errors import must
from slmcore.units import OperatingPoint, Units
from slmzoo.evaluation.report.statistics import Statistic, ratio

__all__ = ["bit_rate", "bits", "codes_used", "entropy", "gslm_entropies", "perplexity", "units_per_second"]

_GSLM_ENTROPIES = {
    ("hubert_base", 50): 5.458528917634601,
    ("hubert_base", 100): 6.44513268276806,
    ("hubert_base", 200): 7.477069233162813,
    ("cpc_big", 50): 5.428271158461133,
    ("cpc_big", 100): 6.413083187885448,
    ("cpc_big", 200): 7.44253841579776,
}
"""Bits of the distribution of an encoder's k units over 6,000 hours of Libri-light, as GSLM's published code says."""


def bit_rate(units: Sequence[Units]) -> Statistic:
    """Return bits per second of utterances (n,) of deduplicated units; see `dpdp.bits_per_second`."""
    counts, seconds = _counts(units), np.array([u.seconds for u in units])

    def of(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        totals = drawn @ counts
        return totals.sum(1) * entropy(totals) / (drawn @ seconds)

    return of


def gslm_entropies(point: OperatingPoint | None) -> tuple[float, float]:
    """Bits of a unit at an operating point as GSLM's published code counts them (Lakhotia et al., arXiv 2102.01192).

    The entropy of the units over Libri-light, whatever their distribution at hand, and log2(k). Raises ValueError for
    units of another encoder, k or lambda, whose entropy is not known.
    """
    encoder, k = (None, None) if point is None or point.lmbda else (point.encoder, point.k)
    if encoder is None or k is None or (encoder, k) not in _GSLM_ENTROPIES:
        known = ", ".join(f"{name} with {size} units" for name, size in _GSLM_ENTROPIES)
        raise ValueError(must("convention", f"'slmzoo' for other units than those of {known}", f"'gslm' for {point}"))
    return _GSLM_ENTROPIES[encoder, k], float(np.log2(k))


def bits(units: Sequence[Units]) -> list[float]:
    """Code length in bits of each utterance under the corpus's unigram distribution; the sum is bit rate x duration."""
    counts = _counts(units)
    total = counts.sum(0)
    lengths = -np.log2(total / total.sum(), out=np.zeros_like(total), where=total > 0)
    return (counts @ lengths).tolist()


def perplexity(units: Sequence[Units]) -> Statistic:
    """Return the perplexity of the units: 2 to the power of their entropy."""
    counts = _counts(units)
    return lambda drawn: 2 ** entropy(drawn @ counts)


def units_per_second(units: Sequence[Units]) -> Statistic:
    """Return deduplicated units per second of utterances (n,)."""
    return ratio([len(u) / u.seconds for u in units], [u.seconds for u in units])


def codes_used(units: Sequence[Units]) -> int:
    """Return the number of distinct units."""
    return int((_counts(units).sum(0) > 0).sum())


def entropy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy in bits of the distribution in each row (n, kinds)."""
    shares = counts / counts.sum(1, keepdims=True)
    return -(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)).sum(1)


def _counts(units: Sequence[Units]) -> NDArray[np.float64]:
    """Count each unit in each utterance: (n, highest unit + 1)."""
    counts = [u.units.cpu().bincount().double().numpy() for u in units]
    kinds = max(map(len, counts))
    return np.stack([np.pad(row, (0, kinds - len(row))) for row in counts])
