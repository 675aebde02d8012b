"""`slmzoo stream`: units of speech while it is spoken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from slmcore import audio
from slmcore.units import Units
from slmzoo.commands.common import ModelCommand
from slmzoo.commands.options.streaming import StreamOptions
from slmzoo.streaming import Timing

__all__ = ["Stream"]

_CHUNK_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Stream(StreamOptions, ModelCommand):
    """Units of one input, by and by."""

    def run(self) -> int:
        """Write each unit as soon as it has ended."""
        timing = Timing(step=self.step, ahead=self.ahead, context=self.context, wait=self.wait)
        chunks, rate = self._chunks()
        stream = self.pipeline(with_ulm=False, with_speech=False).stream(rate, timing)
        start = 0
        with self.results() as write:
            for chunk in chunks:
                start = _write(write, stream.push(chunk), start)
            _write(write, stream.flush(), start)
        return 0

    def line(self, row: Any) -> str:
        """Return a unit with its place."""
        return f"{row['start']:8.2f} s  {row['seconds']:5.2f} s  {row['unit']}"

    def _chunks(self) -> tuple[Iterator[Tensor], int]:
        if self.input == "-":
            return samples_of(sys.stdin.buffer, self.rate), self.rate
        wav, rate = audio.load(self.input)
        return iter(wav.split(max(1, round(_CHUNK_SECONDS * rate)), 1)), rate


def samples_of(file: BinaryIO, rate: int) -> Iterator[Tensor]:
    """Yield the 16-bit samples of a pipe as they come, float32 (n,)."""
    size, rest = 2 * max(1, round(_CHUNK_SECONDS * rate)), b""
    read = getattr(file, "read1", file.read)
    while content := read(size):
        content = rest + content
        rest = content[len(content) // 2 * 2 :]
        yield torch.from_numpy(np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32)) / 32768


def _write(write: Any, units: Units, start: int) -> int:
    """Write units that begin at frame `start`; return the frame where they end."""
    for unit, lasts in zip(units.units.tolist(), units.durations.tolist(), strict=True):
        row = {"unit": unit, "start": round(start / units.frame_rate, 3), "seconds": round(lasts / units.frame_rate, 3)}
        write(row)
        start += lasts
    return start
