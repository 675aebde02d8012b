"""Streaming synthesis from units, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from slmcore.errors import must
from slmcore.roles import Synthesizer, options_of, point_of
from slmcore.speech import Speech
from slmcore.units import Units

__all__ = ["SpeechStream"]

_LATER_HALF = 0.5
"""Share of a segment after which it may be cut."""


class SpeechStream:
    """Incremental synthesis: a segment is spoken as soon as it has enough units.

    A segment is cut after the longest unit of its later half, where a join is least audible. The segments do not depend
    on how units are divided between calls; each is spoken by itself, with its units' durations where the synthesiser
    can keep them. `push` blocks; a program that must not wait calls it in a thread.
    """

    def __init__(self, synthesizer: Synthesizer, *, seed: int = 0, seconds: float = 1.0, **options: Any) -> None:
        """Take a synthesiser, the seed of each segment, the `seconds` of units that make one, and options of `speak`.

        Raises ValueError for seconds that are not above 0 and at most half of the synthesiser's longest segment.
        """
        longest = float(synthesizer.longest_segment) / 2
        if not 0 < seconds <= longest:
            raise ValueError(must("seconds", f"above 0 and at most {longest:g}, half of the longest segment", seconds))
        self._synthesizer, self._seed, self._seconds = synthesizer, seed, seconds
        keeps = {"keep_durations": True} if "keep_durations" in options_of(synthesizer) else {}
        self._options = {**keeps, **options}
        self._waiting: list[tuple[int, int]] = []
        self._rate, self._point = float(synthesizer.frame_rate), point_of(synthesizer)

    @property
    def waiting(self) -> float:
        """Duration in seconds of the units of the incomplete segment."""
        return _frames(self._waiting) / self._rate

    def push(self, units: Units) -> list[Speech]:
        """Take the next units; return the speech of each completed segment, possibly none."""
        self._rate, self._point = units.frame_rate, units.operating_point
        return [self._spoken(segment) for segment in self._segments(units)]

    def flush(self) -> list[Speech]:
        """Return the speech of the remaining units. The next push begins another utterance."""
        rest, self._waiting = self._waiting, []
        return [self._spoken(rest)] if rest else []

    def _segments(self, units: Units) -> Iterator[list[tuple[int, int]]]:
        most = max(1, int(self._seconds * units.frame_rate))
        for unit, lasts in zip(units.units.tolist(), units.durations.tolist(), strict=True):
            # A unit that lasts longer than a segment is spoken in several.
            for begun in range(0, lasts, most):
                self._waiting.append((unit, min(most, lasts - begun)))
                if _frames(self._waiting) >= most:
                    yield self._cut(most)

    def _cut(self, most: int) -> list[tuple[int, int]]:
        """Take the first units off, up to the longest that ends in the later half."""
        ends = torch.tensor([lasts for _, lasts in self._waiting]).cumsum(0).tolist()
        late = [i for i, end in enumerate(ends) if end >= _LATER_HALF * most]
        last = max(late, key=lambda i: (self._waiting[i][1], i))
        segment, self._waiting = self._waiting[: last + 1], self._waiting[last + 1 :]
        return segment

    def _spoken(self, segment: list[tuple[int, int]]) -> Speech:
        units, durations = (torch.tensor([pair[i] for pair in segment]) for i in (0, 1))
        whole = Units(units, durations, self._rate, self._point)
        return self._synthesizer.speak([whole], seed=self._seed, **self._options)[0]


def _frames(units: list[tuple[int, int]]) -> int:
    return sum(lasts for _, lasts in units)
