"""Trade-off of perplexity and VERT over temperatures: area under the curve, and crossings with original speech.

After GSLM (Lakhotia et al., arXiv 2102.01192); conventions: docs/evaluation/generation.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["area", "crossing"]


def area(perplexities: Sequence[float], verts: Sequence[float]) -> float:
    """Return the area under VERT as a function of perplexity, by trapezoids between points sorted by perplexity.

    Points that are not finite are ignored; NaN for fewer than two.
    """
    points = sorted(_finite(perplexities, verts))
    if len(points) < 2:
        return math.nan
    return math.fsum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def crossing(along: Sequence[float], other: Sequence[float], wanted: float) -> float:
    """Return `other` where `along` first equals `wanted`, both at rising temperatures, interpolated; else NaN."""
    points = _finite(along, other)
    for (x0, y0), (x1, y1) in pairwise(points):
        if min(x0, x1) <= wanted <= max(x0, x1):
            return y0 if x0 == x1 else y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)
    return math.nan


def _finite(first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
