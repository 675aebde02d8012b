"""Streaming units of speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from slmcore.roles import Encoder, Quantizer, point_of
from slmcore.units import Units
from slmzoo.streaming.frames import FrameStream
from slmzoo.streaming.timing import Timing

__all__ = ["Search", "UnitStream"]


class Search(Protocol):
    """Quantiser of one stream, such as `dpdp.OnlineDPDP`, the result of a quantiser's `stream(max_delay)`."""

    def push(self, features: Tensor) -> Tensor:
        """Take frames (n, dim); return the framewise units, int64 (m,), that are now decided."""
        ...

    def flush(self) -> Tensor:
        """End the utterance: the rest of its framewise units, int64 (m,)."""
        ...


class UnitStream:
    """Incremental units of speech: the results of `push` and `flush`, concatenated, are the units of the utterance.

    They do not depend on the chunks. They differ from those of `Pipeline.units` where the encoder would have more
    context than its window, or the search more delay. Memory is bounded.
    """

    def __init__(self, encoder: Encoder, quantizer: Quantizer, sr: int, timing: Timing | None = None) -> None:
        """Take the parts of a pipeline, and the rate of the chunks in Hz.

        Raises ValueError, with its name, for an encoder or a quantiser that cannot be streamed.
        """
        self.timing = Timing() if timing is None else timing
        self._rate, self._point = float(encoder.frame_rate), point_of(quantizer)
        wait = None if self.timing.wait is None else round(self.timing.wait * self._rate)
        self._search = _search_of(quantizer, wait)
        self._frames = FrameStream(encoder, sr, getattr(self._point, "layer", None), self.timing)
        self._begin()

    @property
    def current(self) -> Units:
        """The current unit with its decided duration: one or none."""
        return self._units(self._open)

    @property
    def kept(self) -> int:
        """Number of samples buffered for the next windows."""
        return self._frames.kept

    @torch.no_grad()
    def push(self, chunk: Tensor) -> Units:
        """Take the next samples, float (samples,) or (channels, samples); return the units that have ended, if any.

        Raises ValueError for another shape and for samples that are not finite, and takes none of them.
        """
        decided = [self._search.push(features) for features in self._frames.push(chunk)]
        return self._units(self._ended(decided))

    @torch.no_grad()
    def flush(self) -> Units:
        """End the utterance: the rest of its units. The next push begins another one.

        Raises ValueError for an utterance that is too short for the encoder.
        """
        try:
            decided = [self._search.push(features) for features in self._frames.flush()]
            ended = self._ended([*decided, self._search.flush()])
            return self._units([*ended, *self._open])
        finally:
            self._search.flush()
            self._begin()

    def _begin(self) -> None:
        self._open: list[tuple[int, int]] = []

    def _ended(self, decided: Sequence[Tensor]) -> list[tuple[int, int]]:
        """Units and durations that end within the next framewise units; the last one remains open."""
        if not any(len(frames) for frames in decided):
            return []
        runs = Units.from_framewise(torch.cat(list(decided)), self._rate)
        found = list(zip(runs.units.tolist(), runs.durations.tolist(), strict=True))
        if self._open and self._open[0][0] == found[0][0]:
            found[0] = (found[0][0], found[0][1] + self._open[0][1])
        else:
            found = [*self._open, *found]
        self._open = found[-1:]
        return found[:-1]

    def _units(self, found: Sequence[tuple[int, int]]) -> Units:
        units, durations = (torch.tensor([pair[i] for pair in found], dtype=torch.int64) for i in (0, 1))
        return Units(units, durations, self._rate, self._point)


def _search_of(quantizer: Quantizer, wait: int | None) -> Search:
    make = getattr(quantizer, "stream", None)
    if make is None:
        name = type(quantizer).__name__
        raise ValueError(f"{name} cannot be streamed: it has no `stream`. Quantise whole utterances with `segment`.")
    return make(wait)
