"""Streaming: speech to units and units to speech, incrementally."""

from __future__ import annotations

from slmzoo.streaming.frames import FrameStream
from slmzoo.streaming.speech import SpeechStream
from slmzoo.streaming.timing import Timing
from slmzoo.streaming.units import UnitStream

__all__ = ["FrameStream", "SpeechStream", "Timing", "UnitStream"]
