"""Diversity of generated texts: auto-BLEU, self-BLEU and VERT.

As GSLM uses them (Lakhotia et al., arXiv 2102.01192): modified n-gram precision for n up to `order`, geometric mean
(its code also has the arithmetic one), no penalty for length. Self-BLEU is that of Zhu et al. (arXiv 1802.01886).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mean", "auto_bleu", "self_bleus", "vert"]

Words = Sequence[str]

Mean = Literal["geometric", "arithmetic"]
"""Mean over the orders of n-grams."""


def auto_bleu(words: Words, order: int = 2, mean: Mean = "geometric") -> float:
    """Auto-BLEU of a text, 0..1: for each n the share of n-grams that recur elsewhere in it.

    Overlapping n-grams do not count. 0 for fewer than two words.
    """
    return _mean([_repeated(words, n) for n in range(1, order + 1)], mean) if len(words) > 1 else 0.0


def self_bleus(texts: Sequence[Words], order: int = 2, mean: Mean = "geometric") -> list[float]:
    """Self-BLEU: BLEU of each text against all others as references, 0..1."""
    precisions = [_precisions(texts, n) for n in range(1, order + 1)]
    return [_mean([of[i] for of in precisions], mean) for i in range(len(texts))]


def vert(self_bleu: NDArray[np.float64], auto_bleu: NDArray[np.float64]) -> NDArray[np.float64]:
    """VERT, the geometric mean of the two: high if generated speech lacks diversity, within or between texts."""
    return np.sqrt(self_bleu * auto_bleu)


def _repeated(words: Words, n: int) -> float:
    places: dict[tuple[str, ...], list[int]] = {}
    for start in range(len(words) - n + 1):
        places.setdefault(tuple(words[start : start + n]), []).append(start)
    apart = sum(any(abs(a - b) >= n for b in starts) for starts in places.values() for a in starts)
    return apart / max(1, len(words) - n + 1)


def _precisions(texts: Sequence[Words], n: int) -> list[float]:
    """Modified n-gram precision of each text against all others, from the two texts with the most of each n-gram."""
    counts = [Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for text in texts]
    most: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for index, of in enumerate(counts):
        for gram, count in of.items():
            most[gram] = sorted([*most.get(gram, []), (count, index)], reverse=True)[:2]

    def shared(gram: tuple[str, ...], index: int) -> int:
        return next((count for count, owner in most[gram] if owner != index), 0)

    clipped = (sum(min(c, shared(gram, i)) for gram, c in of.items()) for i, of in enumerate(counts))
    return [hits / max(1, of.total()) for hits, of in zip(clipped, counts, strict=True)]


def _mean(values: Sequence[float], mean: Mean) -> float:
    if mean == "arithmetic":
        return sum(values) / len(values)
    return math.prod(values) ** (1 / len(values))
