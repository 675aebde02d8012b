"""Sizes of a WavTokenizer."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.seanet import SEANetConfig
from wavtokenizer.norms import GroupNorm

__all__ = ["CONFIGS", "WavTokenizerConfig"]


@dataclass(frozen=True, kw_only=True)
class WavTokenizerConfig(ModelConfig, describes="a WavTokenizer"):
    """Configuration of a WavTokenizer."""

    sample_rate: int
    """Sample rate, Hz."""
    strides: tuple[int, ...]
    """Downsampling factors of the encoder in the order of application; their product is the hop."""
    n_filters: int
    """Channels of the encoder's first convolution; each stage doubles them."""
    dimension: int
    """Size of a code vector."""
    codebook_size: int
    """Number of codes."""
    decoder_dim: int
    """Channels of the decoder, a multiple of 32."""
    decoder_intermediate: int
    """Hidden size of a ConvNeXt block."""
    decoder_layers: int
    """Number of ConvNeXt blocks."""
    n_fft: int
    """Samples of the inverse STFT's window, at least the hop and of its parity."""

    def __post_init__(self) -> None:
        strides = tuple(whole("strides", n, 1, "one or more integers >= 1") for n in self.strides)
        object.__setattr__(self, "strides", strides)
        if not strides:
            raise ValueError(must("strides", "one or more integers >= 1", strides))
        for field in fields(self):
            if field.name != "strides":
                object.__setattr__(self, field.name, whole(field.name, getattr(self, field.name), 1, "an integer >= 1"))
        if self.decoder_dim % GroupNorm.GROUPS:
            raise ValueError(must("decoder_dim", f"a multiple of {GroupNorm.GROUPS}", self.decoder_dim))
        if self.n_filters % 2:
            raise ValueError(must("n_filters", "even, as a residual block halves it", self.n_filters))
        if self.n_fft < self.hop or self.n_fft % 2 or self.hop % 2:
            raise ValueError(must("n_fft", f"even and at least the hop, itself even ({self.hop})", self.n_fft))

    @property
    def hop(self) -> int:
        """Samples per code."""
        return math.prod(self.strides)

    @property
    def encoder(self) -> SEANetConfig:
        """Sizes of the encoder, which is not causal and has two LSTM layers."""
        return SEANetConfig(strides=self.strides, n_filters=self.n_filters, dimension=self.dimension)


def _small(strides: tuple[int, ...]) -> WavTokenizerConfig:
    return WavTokenizerConfig(
        sample_rate=24000,
        strides=strides,
        n_filters=32,
        dimension=512,
        codebook_size=4096,
        decoder_dim=768,
        decoder_intermediate=2304,
        decoder_layers=12,
        n_fft=4 * math.prod(strides),
    )


#: The published sizes. The checkpoints list their strides in the reverse order.
CONFIGS = {"small_600_24k_4096": _small((4, 5, 5, 6)), "small_320_24k_4096": _small((2, 4, 5, 8))}
