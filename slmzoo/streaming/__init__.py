"""Speech that is still being spoken: to units by and by, and from units back to speech."""

from __future__ import annotations

from slmzoo.streaming.frames import FrameStream
from slmzoo.streaming.speech import SpeechStream
from slmzoo.streaming.timing import Timing
from slmzoo.streaming.units import UnitStream

__all__ = ["FrameStream", "SpeechStream", "Timing", "UnitStream"]
