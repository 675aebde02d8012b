"""WavLM features, and k-means codebooks of them."""

from __future__ import annotations

from slmcore.clustering.codebook import Codebook
from wavlm_codebooks.wavlm import WavLM, WavLMConfig

__all__ = ["Codebook", "WavLM", "WavLMConfig"]
