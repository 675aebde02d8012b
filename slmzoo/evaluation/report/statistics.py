"""Confidence intervals and tests, resampling independent units (e.g. words, not their voices).

Bootstrap: Efron (1979, doi 10.1214/aos/1176344552), percentile or basic (Davison and Hinkley 1997, section 5.2).
McNemar's test is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slmcore.checks import whole
from slmcore.errors import must

__all__ = [
    "Bootstrap",
    "Comparison",
    "Interval",
    "Method",
    "Statistic",
    "clustered",
    "compare",
    "kinds",
    "mcnemar",
    "mean_of_means",
    "quantile",
    "ratio",
]

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Function of the counts of n items, float64 (resamples, n), to the score of each resample, (resamples,)."""

Method = Literal["percentile", "basic"]
"""Percentile or basic interval. The basic one mirrors the percentiles at the value, for scores that small samples bias,
such as entropies: resamples are biased relative to the sample as the sample is itself."""

Items = int | NDArray[np.int64]
"""Number of items, or int64 (kinds,), the number of items of each kind of equal ones."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Score with its confidence interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None
    method: Method = "percentile"


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Settings of the bootstrap, written into every result."""

    resamples: int = 2000
    """Number of bootstrap resamples."""
    seed: int = 0
    """Seed of the resampling."""
    level: float = 0.95
    """Confidence level."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "resamples", whole("resamples", self.resamples, 1))
        if not 0 < self.level < 1:
            raise ValueError(must("level", "between 0 and 1", self.level))

    def draws(self, statistic: Statistic, items: Items, cells: int = 4_000_000) -> NDArray[np.float64]:
        """Return the score of each resample of the items: float64 (resamples,), NaN where undefined.

        Memory is bounded by `cells` counts at a time, at least those of one resample.
        """
        random = np.random.default_rng(self.seed)
        counts = _counts(items)
        total = int(counts.sum())
        rows = max(1, cells // len(counts))
        sizes = [min(rows, self.resamples - first) for first in range(0, self.resamples, rows)]
        shares = counts / total
        return np.concatenate([statistic(random.multinomial(total, shares, size).astype(float)) for size in sizes])

    def interval(self, statistic: Statistic, items: Items, method: Method = "percentile") -> Interval:
        """Return the score of the items with its interval (None for fewer than two items)."""
        counts = _counts(items)
        if counts.sum() < 1:
            return Interval(value=None, low=None, high=None, method=method)
        value = _known(float(statistic(counts[None].astype(np.float64))[0]))
        drawn = self.draws(statistic, items) if counts.sum() > 1 else np.empty(0)
        drawn = drawn[~np.isnan(drawn)]
        if value is None or not len(drawn):
            return Interval(value=value, low=None, high=None, method=method)
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2]).tolist()
        if method == "basic":
            low, high = 2 * value - high, 2 * value - low
        return Interval(value=value, low=low, high=high, method=method)

    def mean(self, values: Sequence[float], weights: Sequence[float] | None = None) -> Interval:
        """Return the weighted mean of values (n,) and its interval, resampling equal items as one kind for speed."""
        rows, counts = kinds(values, [1.0] * len(values) if weights is None else weights)
        return self.interval(ratio(*rows), counts)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of two systems on the same items."""

    difference: Interval
    """The second system's score less the first's."""
    first: float | None
    """The first system's score on these items."""
    second: float | None
    bootstrap_p: float | None
    """Two-sided: twice the share of resamples in which the difference has the other sign."""
    mcnemar_p: float | None
    """Exact McNemar test; None unless every value is 0 or 1 and every item is drawn alone."""
    items: int
    """Number of independently resampled items, or of clusters where items are clustered."""


def ratio(values: ArrayLike, weights: ArrayLike | None = None) -> Statistic:
    """Return the weighted mean of values (n,), such as an accuracy, or error rates weighted by words."""
    value, weight = _checked(values, weights)

    def of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        total = counts @ weight
        return np.divide(counts @ (value * weight), total, out=np.full(len(counts), np.nan), where=total > 0)

    return of


def mean_of_means(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> Statistic:
    """Mean over groups of their weighted means; `sums`, `weights`: contributions of each cluster, (clusters, groups).

    Groups without any resampled item do not count.
    """

    def of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        total = counts @ weights
        means = np.divide(counts @ sums, total, out=np.zeros_like(total), where=total > 0)
        there = (total > 0).sum(1)
        return np.divide(means.sum(1), there, out=np.full(len(there), np.nan), where=there > 0)

    return of


def quantile(values: ArrayLike, share: float) -> Statistic:
    """Return a quantile, 0..1, of values (n,), each as often as it is drawn; NaN where none is."""
    value = np.asarray(values, np.float64)

    def of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = (np.repeat(value, each.astype(np.int64)) for each in counts)
        return np.array([np.quantile(each, share) if len(each) else np.nan for each in drawn])

    return of


def clustered(
    values: ArrayLike, clusters: Sequence[Hashable], weights: ArrayLike | None = None, groups: Sequence[Hashable] = ()
) -> tuple[Statistic, int]:
    """Return the weighted mean of values (n,), resampled by cluster; also the number of clusters.

    `groups`, (n,) if given: the score is the mean over groups of the weighted mean in each.
    """
    value, weight = _checked(values, weights)
    rows, columns = _numbered(clusters), _numbered(groups or [None] * len(value))
    sums, totals = np.zeros((2, max(rows, default=-1) + 1, max(columns, default=-1) + 1))
    np.add.at(sums, (rows, columns), value * weight)
    np.add.at(totals, (rows, columns), weight)
    return mean_of_means(sums, totals), len(sums)


def kinds(*columns: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct items by columns (n,) each: float64 (columns, kinds), and the number of each.

    Items equal in all columns need not be distinguished: only the number of each kind in a resample matters.
    """
    table = np.asarray(columns, np.float64)
    rows, counts = np.unique(table, axis=1, return_counts=True)
    return rows, counts.astype(np.int64)


def compare(
    first: Sequence[float],
    second: Sequence[float],
    weights: tuple[Sequence[float], Sequence[float]] | None = None,
    bootstrap: Bootstrap | None = None,
    clusters: Sequence[Hashable] = (),
    groups: Sequence[Hashable] = (),
) -> Comparison:
    """Paired bootstrap of the difference (second minus first) on the same items, and McNemar's test where applicable.

    `first`, `second`: values (n,) of the items in one order; `weights`: those of each system, 1 if left out;
    `clusters`, `groups`: as for `clustered`, for items that are not independent.
    """
    if len(first) != len(second):
        raise ValueError(must("second", f"as long as first ({len(first)})", len(second)))
    bootstrap = bootstrap or Bootstrap()
    ones = [1.0] * len(first)
    weights = weights or (ones, ones)
    if clusters or groups:
        drawn_by = clusters or range(len(first))
        (one, n), (other, _) = (
            clustered(v, drawn_by, w, groups) for v, w in zip((first, second), weights, strict=True)
        )
        counts = np.ones(n, np.int64)
    else:
        rows, counts = kinds(first, second, *weights)
        one, other = ratio(rows[0], rows[2]), ratio(rows[1], rows[3])

    def difference(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        return other(drawn) - one(drawn)

    interval = bootstrap.interval(difference, counts)
    items = int(counts.sum())
    binary = items > 0 and items == len(first) and not groups and set(first) | set(second) <= {0.0, 1.0}
    whole = counts[None].astype(np.float64)
    return Comparison(
        difference=interval,
        first=_known(float(one(whole)[0])) if items else None,
        second=_known(float(other(whole)[0])) if items else None,
        bootstrap_p=_two_sided(bootstrap.draws(difference, counts)) if interval.low is not None else None,
        mcnemar_p=mcnemar(first, second) if binary else None,
        items=items,
    )


def mcnemar(first: Sequence[float], second: Sequence[float]) -> float:
    """Exact two-sided p of McNemar's test (1947, doi 10.1007/BF02295996) on right (1) and wrong (0) answers (n,)."""
    only_first = sum(a > b for a, b in zip(first, second, strict=True))
    only_second = sum(a < b for a, b in zip(first, second, strict=True))
    n = only_first + only_second
    term, tail = 1, 1
    for i in range(min(only_first, only_second)):
        term = term * (n - i) // (i + 1)
        tail += term
    return min(1.0, 2 * tail / 2**n)


def _counts(items: Items) -> NDArray[np.int64]:
    return np.ones(items, np.int64) if isinstance(items, int) else items


def _checked(values: ArrayLike, weights: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    value = np.asarray(values, np.float64)
    weight = np.ones_like(value) if weights is None else np.asarray(weights, np.float64)
    if value.shape != weight.shape or value.ndim != 1 or not np.isfinite(value).all() or not (weight >= 0).all():
        raise ValueError("`values` and `weights` must be finite (n,) of one length, weights >= 0, but are not.")
    return value, weight


def _numbered(names: Sequence[Hashable]) -> list[int]:
    """Return each name as an index in order of first occurrence."""
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _two_sided(drawn: NDArray[np.float64]) -> float:
    drawn = drawn[~np.isnan(drawn)]
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
