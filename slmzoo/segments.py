"""Units of long speech as segments, and their durations in codec tokens."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from slmcore.errors import must
from slmcore.units import Units

__all__ = ["codec_tokens", "cut"]

_SLACK = 1e-6
"""Of a codec token: what rounding may add to a time that two rates share."""


def cut(units: Units, seconds: Sequence[tuple[float, float]]) -> list[Units]:
    """Return the units of each stretch of speech, (start, end) in seconds.

    A unit that is cut is in both stretches, in each as long as it lasts there, so that stretches begin and end with the
    pause that they were cut in. Raises ValueError for a stretch without any frame of the units.
    """
    frames = units.framewise()
    parts = [frames[round(a * units.frame_rate) : round(b * units.frame_rate)] for a, b in seconds]
    if not all(len(part) for part in parts):
        needed = f"those of all of the wav, whose speech ends at {seconds[-1][1]:.2f} s"
        raise ValueError(must("units", needed, f"a sequence of {units.seconds:.2f} s"))
    return [Units.from_framewise(part, units.frame_rate, units.operating_point) for part in parts]


def codec_tokens(units: Units, rate: float) -> Tensor:
    """Return how many codec tokens, `rate` a second, start within each unit: int64 (n,), on the units' device.

    Training sequences are made likewise (`EllaVTokenizer.encode_train`). The first unit has at least one.
    """
    edges = (units.boundaries() * rate - _SLACK).ceil().long().clamp(min=0)
    return edges.diff()
