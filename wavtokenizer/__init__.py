"""WavTokenizer: a speech codec with one stream of codes (SEANet encoder, one codebook, Vocos-like decoder)."""

from __future__ import annotations

from wavtokenizer.config import CONFIGS, WavTokenizerConfig
from wavtokenizer.model import Reconstruction, WavTokenizer, load, published

__all__ = ["CONFIGS", "Reconstruction", "WavTokenizer", "WavTokenizerConfig", "load", "published"]
