"""Perplexity against VERT over temperatures: the area under the curve, and where it meets the original speech.

After GSLM (Lakhotia et al., arXiv 2102.01192); the conventions stand in docs/evaluation/generation.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["area", "crossing"]


def area(perplexities: Sequence[float], verts: Sequence[float]) -> float:
    """Area under VERT as a function of perplexity, by trapezoids between the points in the order of their perplexity.

    Points that are not finite are left out; NaN for fewer than two.
    """
    points = sorted(_finite(perplexities, verts))
    if len(points) < 2:
        return math.nan
    return math.fsum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def crossing(along: Sequence[float], other: Sequence[float], wanted: float) -> float:
    """`other` where `along` first is `wanted`, both at rising temperatures, linear in between; NaN if it never is."""
    points = _finite(along, other)
    for (x0, y0), (x1, y1) in pairwise(points):
        if min(x0, x1) <= wanted <= max(x0, x1):
            return y0 if x0 == x1 else y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)
    return math.nan


def _finite(first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
