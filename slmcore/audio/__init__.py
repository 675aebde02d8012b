"""Finding, reading, checking, resampling and writing audio."""

from __future__ import annotations

from slmcore.audio.checks import SHORTEST_SECONDS, check, check_audible, is_silent, mono
from slmcore.audio.finding import EXTENSIONS, FFMPEG_EXTENSIONS, Found, find, search
from slmcore.audio.reading import decode, is_empty, length, load, read
from slmcore.audio.resampling import resample
from slmcore.audio.writing import write

__all__ = [
    "EXTENSIONS",
    "FFMPEG_EXTENSIONS",
    "SHORTEST_SECONDS",
    "Found",
    "check",
    "check_audible",
    "decode",
    "find",
    "is_empty",
    "is_silent",
    "length",
    "load",
    "mono",
    "read",
    "resample",
    "search",
    "write",
]
