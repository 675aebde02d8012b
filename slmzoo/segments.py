"""Segmentation of long speech: cuts, and the units and durations of segments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from slmcore import audio
from slmcore.errors import must
from slmcore.pauses import stretches
from slmcore.units import Units

__all__ = ["codec_tokens", "cut", "is_short", "segments_of"]

_USUAL = 0.8
"""Usual length of a segment relative to the longest, since the longest utterances are rare in training."""
_SLACK = 1e-6
"""Tolerance, in codec tokens, of a time shared by two rates."""


def is_short(wav: Tensor, sr: int, longest: float) -> bool:
    """Whether speech (channels, samples) is one segment of at most `longest` seconds."""
    return wav.shape[-1] <= int(longest * sr)


def segments_of(wav: Tensor, sr: int, longest: float) -> list[tuple[int, int]]:
    """Return samples (start, end) of each segment of speech (channels, samples).

    `longest`: seconds of the longest segment. Short speech is one segment; segments of long speech are separated by
    pauses.
    """
    return stretches(audio.mono(wav), sr, longest, max(1.0, _USUAL * longest))


def cut(units: Units, seconds: Sequence[tuple[float, float]]) -> list[Units]:
    """Return the units of each stretch of speech, (start, end) in seconds.

    A unit that is cut belongs to both stretches, with its duration in each, so that stretches begin and end in the
    pause where they were cut. Raises ValueError for a stretch without any frame of the units.
    """
    frames = units.framewise()
    parts = [frames[round(a * units.frame_rate) : round(b * units.frame_rate)] for a, b in seconds]
    if not all(len(part) for part in parts):
        needed = f"those of all of the wav, whose speech ends at {seconds[-1][1]:.2f} s"
        raise ValueError(must("units", needed, f"a sequence of {units.seconds:.2f} s"))
    return [Units.from_framewise(part, units.frame_rate, units.operating_point) for part in parts]


def codec_tokens(units: Units, rate: float) -> Tensor:
    """Return how many codec tokens, at `rate` per second, start within each unit: int64 (n,), on the units' device.

    Training sequences follow the same rule (`EllaVTokenizer.encode_train`). The first unit has at least one.
    """
    edges = (units.boundaries() * rate - _SLACK).ceil().long().clamp(min=0)
    return edges.diff()
