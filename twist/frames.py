"""Frame-level inputs of a unit vocoder: unit, fundamental frequency, speaker and style."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.precision import Float32
from twist.vocoder_config import VocoderConfig

__all__ = ["FrameEmbedding"]


class FrameEmbedding(Float32):
    """Embeddings of units, speakers, styles and bins of the fundamental frequency, concatenated in each frame."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.units = nn.Embedding(config.num_units, config.dim)
        self.f0 = nn.Embedding(config.f0_bins, config.dim) if config.f0_bins else None
        self.speakers = _speakers(config)
        self.styles = nn.Embedding(config.num_styles, config.dim) if config.num_styles else None

    def forward(self, units: Tensor, f0: Tensor | None, speaker: Tensor, style: Tensor) -> Tensor:
        """Embedded units (B, T, dim) to frames (B, in_channels, T') of the generator.

        f0 (B, n), float or int64 bins: the shorter of f0 and units is repeated, T' = max(T, n). Speaker (B,) int64
        rows, or embeddings (B, speaker_dim); style (B,) int64 rows; both are ignored by a vocoder without them.
        """
        parts = [units]
        if f0 is not None:
            pitch = f0.unsqueeze(-1).to(units.dtype) if self.f0 is None else self.f0(f0)
            parts = list(_equally_long(units, pitch))
        for table, value in ((self.speakers, speaker), (self.styles, style)):
            if table is not None:
                parts.append(table(value).unsqueeze(1).expand(-1, parts[0].shape[1], -1))
        return torch.cat(parts, -1).mT


def _speakers(config: VocoderConfig) -> nn.Module | None:
    if config.speaker_dim:
        return nn.Linear(config.speaker_dim, config.dim)
    return nn.Embedding(config.num_speakers, config.dim) if config.num_speakers else None


def _equally_long(units: Tensor, f0: Tensor) -> tuple[Tensor, Tensor]:
    n, m = units.shape[1], f0.shape[1]
    if not m or max(n, m) % min(n, m):
        raise ValueError(must("f0", f"as long as the {n} frames, or a multiple or divisor of them", m))
    return units.repeat_interleave(max(1, m // n), 1), f0.repeat_interleave(max(1, n // m), 1)
