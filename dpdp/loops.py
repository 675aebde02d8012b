"""Choice between the loops compiled by numba and those of torch calls, with bit-identical results."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from dpdp import fallback

__all__ = ["Loops", "loops"]

_FRAMES = 1000
"""Frames after which numba is loaded: 20 s of speech. While numba loads, torch calls could search some 10,000 frames,
and several times as many if the loops must be compiled."""


@cache
def loops() -> Any:
    """Return the module of compiled loops, or that of torch calls without numba."""
    try:
        from dpdp import compiled
    except ImportError:
        return fallback
    return compiled


class Loops:
    """Torch calls for the first frames of a process, then compiled loops: short speech never waits for numba."""

    def __init__(self, frames: int = _FRAMES) -> None:
        """`frames`: number of frames searched without numba."""
        self._left = frames

    def __call__(self, frames: int) -> Any:
        """Return the module of loops for so many further frames, counted per lambda."""
        if self._left < frames or "dpdp.compiled" in sys.modules:
            self._left = 0
            return loops()
        self._left -= frames
        return fallback
