"""Options of `slmzoo stream`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simple_parsing import field

from slmzoo.commands.options.common import ModelOptions

__all__ = ["StreamOptions"]


@dataclass(frozen=True, kw_only=True)
class StreamOptions(ModelOptions):
    """Encode speech as units while it is spoken: a line for each unit as soon as it has ended.

    A JSON line holds: unit, start (seconds), seconds.
    """

    title: ClassVar[str] = "stream"
    examples: ClassVar[tuple[str, ...]] = (
        "slmzoo stream talk.wav --zoo demo",
        "arecord -t raw -f S16_LE -r 16000 | slmzoo stream - --zoo demo",
    )

    input: str = field(positional=True, metavar="AUDIO")
    """Audio file, or `-` for raw 16-bit samples (mono, little-endian) on the standard input."""
    rate: int = 16_000
    """Samples per second of the standard input."""
    step: float = 0.1
    """New speech of each window of the encoder, seconds."""
    ahead: float = 0.3
    """Speech after a frame that the encoder sees, seconds."""
    context: float = 2.0
    """Speech before a frame that the encoder sees, seconds."""
    wait: float = 0.1
    """Longest wait of the search for a frame's unit, seconds."""
