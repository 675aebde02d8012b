"""Sizes shared by convolutional-transformer encoders."""

from __future__ import annotations

import math
from dataclasses import dataclass

from slmcore.configs import ModelConfig
from slmcore.errors import must

__all__ = ["ConvLayers", "EncoderConfig"]

ConvLayers = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ModelConfig, describes="a speech encoder"):
    """Sizes of an encoder; those of WavLM Large in brackets."""

    conv_layers: ConvLayers
    """(channels, kernel, stride) of each frontend layer [(512, 10, 5), 4 x (512, 3, 2), 2 x (512, 2, 2)]."""
    dim: int
    """Width of the features [1024]."""
    ffn_dim: int
    """Width inside the feed-forward layers [4096]."""
    heads: int
    """Attention heads [16]."""
    layers: int
    """Transformer blocks [24]."""
    conv_pos: int
    """Kernel of the positional convolution, frames [128]."""
    conv_pos_groups: int
    """Groups of the positional convolution [16]."""

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "conv_layers", tuple(tuple(layer) for layer in self.conv_layers))
        if self.dim % self.heads or self.dim % self.conv_pos_groups:
            remedy = f"It has {self.heads} heads and {self.conv_pos_groups} groups."
            raise ValueError(must("dim", "a multiple of heads and conv_pos_groups", self.dim, remedy))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.conv_layers)

    @property
    def field(self) -> int:
        """Receptive field of a frontend frame, samples."""
        field, step = 1, 1
        for _, kernel, stride in self.conv_layers:
            field, step = field + (kernel - 1) * step, step * stride
        return field
