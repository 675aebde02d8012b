"""Units of long speech as segments, and their durations in codec tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from slmcore.units import Units

__all__ = ["codec_tokens", "cut"]

_SLACK = 1e-6
"""Of a codec token: what rounding may add to a time that two rates share."""


def cut(units: Units, seconds: Sequence[float]) -> list[Units]:
    """Return the units of each segment of speech that is cut at `seconds`, ascending; empty segments are left out.

    A unit that is cut is in both segments, in each as long as it lasts there, so that segments begin and end with the
    pause that they were cut in.
    """
    frames = units.framewise()
    places = [min(max(round(second * units.frame_rate), 0), len(frames)) for second in seconds]
    parts = [frames[a:b] for a, b in pairwise([0, *places, len(frames)])]
    return [Units.from_framewise(part, units.frame_rate, units.operating_point) for part in parts if len(part)]


def codec_tokens(units: Units, rate: float) -> Tensor:
    """Return how many codec tokens, `rate` a second, start within each unit: int64 (n,), on the units' device.

    Training sequences are made likewise (`EllaVTokenizer.encode_train`). The first unit has at least one.
    """
    edges = (units.boundaries() * rate - _SLACK).ceil().long().clamp(min=0)
    return edges.diff()
