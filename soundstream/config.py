"""The sizes of a SoundStream, from the plain codec to one of Mimi's form."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.seanet import SEANetConfig

__all__ = ["SoundStreamConfig", "TransformerConfig"]

_ROUNDING = 1e-6
"""Relative error that a bandwidth given in decimals may have."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of the causal transformers after the encoder and before the decoder (Mimi, arXiv 2410.00037)."""

    layers: int = 8
    heads: int = 8
    hidden: int = 2048
    """Width of the feed-forward layer."""
    context: int = 250
    """Frames in the attention span of a frame, itself included."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            object.__setattr__(self, name, whole(name, value, 1))


@dataclass(frozen=True, kw_only=True)
class SoundStreamConfig(ModelConfig, describes="a SoundStream"):
    """The sizes that a SoundStream is built from."""

    sample_rate: int
    """Samples per second."""
    seanet: SEANetConfig
    """Encoder and decoder; causal and padded by zeros if the codec is to stream."""
    codebook_size: int = 1024
    num_codebooks: int = 8
    quantizer_dimension: int | None = None
    """Size of a code vector; None quantises latents directly, without projections."""
    semantic: bool = False
    """Whether the first codebook is parallel to the others instead of preceding them (split quantisation)."""
    downsample: int = 1
    """Downsampling factor between the encoder's transformer and the quantiser."""
    transformer: TransformerConfig | None = None
    """Sizes of both transformers; None leaves them out."""

    def __post_init__(self) -> None:
        for name in ("sample_rate", "codebook_size", "num_codebooks", "downsample"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        if self.codebook_size < 2:
            raise ValueError(must("codebook_size", "at least 2", self.codebook_size))
        if self.hop > self.sample_rate:
            raise ValueError(must("strides", f"of a product of at most {self.sample_rate}", self.seanet.strides))
        if self.semantic and (self.quantizer_dimension is None or self.num_codebooks < 2):
            found = f"a config with {self.quantizer_dimension} and {self.num_codebooks}"
            raise ValueError(must("semantic", "with a quantizer_dimension and two or more codebooks", found))
        heads = self.transformer.heads if self.transformer else 1
        if self.transformer and (self.seanet.dimension % (2 * heads)):
            raise ValueError(must("dimension", f"a multiple of twice the {heads} heads", self.seanet.dimension))

    @property
    def hop(self) -> int:
        """Samples in a frame of codes."""
        return self.seanet.hop * self.downsample

    @property
    def frame_rate(self) -> float:
        """Frames of codes per second."""
        return self.sample_rate / self.hop

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Bit rates in kb/s: of one level, two levels, and so on."""
        level = self.frame_rate * math.log2(self.codebook_size) / 1000
        return tuple(level * (n + 1) for n in range(self.num_codebooks))

    def levels_of(self, bandwidth: float) -> int:
        """Return the most levels that fit into `bandwidth` kb/s, at least one.

        Raises ValueError for a bandwidth <= 0, or more than all levels need.
        """
        most = self.bandwidths[-1]
        if not 0 < bandwidth <= most * (1 + _ROUNDING):
            rates = ", ".join(f"{rate:g}" for rate in self.bandwidths)
            raise ValueError(must("bandwidth", f"> 0 and at most {most:g} kb/s", bandwidth, f"Possible: {rates}."))
        return max(1, math.floor(bandwidth / self.bandwidths[0] * (1 + _ROUNDING)))
