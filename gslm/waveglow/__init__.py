"""WaveGlow, a flow from noise to speech under a mel spectrogram, and its denoiser (arXiv 1811.00002)."""

from __future__ import annotations

from gslm.waveglow.config import WaveGlowConfig
from gslm.waveglow.model import WaveGlow, load
from gslm.waveglow.published import published

__all__ = ["WaveGlow", "WaveGlowConfig", "load", "published"]
