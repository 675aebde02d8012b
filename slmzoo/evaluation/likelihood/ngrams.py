"""N-gram model of units, a baseline for unit language models.

Interpolated Kneser-Ney smoothing (Kneser and Ney, ICASSP 1995; Chen and Goodman, 1999, section 2.7): the highest order
counts occurrences, lower ones the contexts of a sequence, and the lowest falls back to the uniform distribution.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from slmcore.checks import whole
from slmcore.errors import must

__all__ = ["KneserNey"]

Gram = tuple[int, ...]
_START = -1


class KneserNey:
    """Model of p(unit | up to `order` - 1 previous units), from sequences of units below k; the end is not scored."""

    def __init__(self, sequences: Sequence[Sequence[int]], k: int, order: int = 3, discount: float = 0.75) -> None:
        order = whole("order", order, 1)
        if not 0 < discount < 1:
            raise ValueError(must("discount", "above 0 and below 1", discount))
        wrong = next((u for units in sequences for u in units if not 0 <= u < k), None)
        if wrong is not None:
            raise ValueError(must("sequences", f"units in 0..{k - 1}", wrong))
        self.k, self.order, self.discount = k, order, discount
        self._counts = [Counter[Gram]() for _ in range(order)]
        self._counts[-1].update(gram for units in sequences for gram in self._grams(units))
        for n in range(order - 1, 0, -1):
            self._counts[n - 1].update(gram[1:] for gram in self._counts[n])
        self._totals = [defaultdict[Gram, int](int) for _ in range(order)]
        self._followers = [Counter(gram[:-1] for gram in counts) for counts in self._counts]
        for totals, counts in zip(self._totals, self._counts, strict=True):
            for gram, count in counts.items():
                totals[gram[:-1]] += count

    def probability(self, gram: Gram) -> float:
        """Return the probability of the last unit of `gram` (at most `order`) given the others; -1 is the start."""
        if not gram:
            return 1 / self.k
        n, context = len(gram) - 1, gram[:-1]
        total = self._totals[n].get(context, 0)
        if not total:
            return self.probability(gram[1:])
        kept = max(self._counts[n].get(gram, 0) - self.discount, 0.0)
        left = self.discount * self._followers[n][context]
        return (kept + left * self.probability(gram[1:])) / total

    def bits(self, units: Sequence[int]) -> float:
        """Return -log2 of the probability of a sequence."""
        return -sum(math.log2(self.probability(gram)) for gram in self._grams(units))

    def _grams(self, units: Sequence[int]) -> Iterator[Gram]:
        padded = [_START] * (self.order - 1) + list(units)
        return (tuple(padded[i : i + self.order]) for i in range(len(units)))
