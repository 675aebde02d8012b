"""Published figures: bits per second and word error rates of DP-SLM's 24 operating points.

Read off figure 4 of arXiv 2505.23494, greedy resynthesis; the error rates to +-0.1.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["POINTS", "Published"]


class Published(NamedTuple):
    """Published figures of an operating point."""

    k: int
    lmbda: float
    bits_per_second: float
    wer: float
    """Percent."""


_BY_K: dict[int, tuple[tuple[float, float, float], ...]] = {
    100: ((0, 192, 11.1), (600, 177, 11.1), (1500, 159, 11.5), (3000, 138, 11.5), (5000, 118, 12.5), (9000, 99, 15.6)),
    200: ((0, 243, 8.3), (700, 223, 9.1), (1500, 204, 9.7), (3000, 175, 10.0), (5000, 147, 9.1), (7500, 124, 8.8)),
    500: ((0, 320, 7.5), (600, 295, 7.1), (1500, 265, 7.7), (2800, 229, 7.4), (4500, 194, 6.7), (7000, 160, 7.4)),
    1000: ((0, 386, 5.3), (600, 356, 5.9), (1400, 320, 6.3), (2500, 279, 6.7), (3800, 242, 6.7), (6000, 200, 6.7)),
}

POINTS: tuple[Published, ...] = tuple(Published(k, *row) for k, rows in _BY_K.items() for row in rows)
"""All points, by k and lambda."""
