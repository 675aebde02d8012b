"""Sizes of a WavLM."""

from __future__ import annotations

from dataclasses import dataclass

from slmcore.encoders.config import EncoderConfig

__all__ = ["WavLMConfig"]


@dataclass(frozen=True, kw_only=True)
class WavLMConfig(EncoderConfig, describes="a WavLM"):
    """Sizes of a WavLM; those of `wavlm_large` in brackets."""

    num_buckets: int
    """Buckets of relative positions, both signs together [320]."""
    max_distance: int
    """Distance beyond which all positions share a bucket, frames [800]."""
