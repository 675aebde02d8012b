"""SoundStream: a codec of residual codes at a choice of bit rates, causal and streaming if so trained (2107.03312)."""

from __future__ import annotations

from soundstream.config import SoundStreamConfig, TransformerConfig
from soundstream.latents import LatentReport, LatentStatistics
from soundstream.model import Reconstruction, SoundStream, load
from soundstream.published import published
from soundstream.streaming import Stream

__all__ = [
    "LatentReport",
    "LatentStatistics",
    "Reconstruction",
    "SoundStream",
    "SoundStreamConfig",
    "Stream",
    "TransformerConfig",
    "load",
    "published",
]
