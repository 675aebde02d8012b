"""Residual quantisation of projected latents, and its split into a semantic level and acoustic ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.vq import Quantized, ResidualVQ
from soundstream.config import SoundStreamConfig

__all__ = ["ProjectedVQ", "SplitVQ", "first_level", "quantizer_of"]


def quantizer_of(config: SoundStreamConfig) -> ResidualVQ | ProjectedVQ | SplitVQ:
    """Return the quantiser that a config describes."""
    levels, size, dimension = config.num_codebooks, config.codebook_size, config.seanet.dimension
    if config.quantizer_dimension is None:
        return ResidualVQ(levels, size, dimension)
    if config.semantic:
        return SplitVQ(levels, size, dimension, config.quantizer_dimension)
    return ProjectedVQ(levels, size, dimension, config.quantizer_dimension)


def first_level(quantizer: nn.Module, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first level's input (B, inner, T) of latents (B, dimension, T), and its code vectors (K, inner)."""
    one = quantizer.semantic if isinstance(quantizer, SplitVQ) else quantizer
    if isinstance(one, ProjectedVQ):
        return one.input_proj(latents), one.vq.first.embed
    if not isinstance(one, ResidualVQ):
        raise TypeError(must("quantizer", "one of `quantizer_of`", type(quantizer).__name__))
    return latents, one.first.embed


class ProjectedVQ(nn.Module):
    """Residual quantisation in an inner space, between linear projections of each frame."""

    def __init__(self, levels: int, size: int, dimension: int, inner: int) -> None:
        super().__init__()
        self.input_proj = nn.Conv1d(dimension, inner, 1, bias=False)
        self.vq = ResidualVQ(levels, size, inner)
        self.output_proj = nn.Conv1d(inner, dimension, 1, bias=False)

    def encode(self, latents: Tensor, *, last: int | None = None) -> Tensor:
        """Return the codes (last, B, T), int64, of the first `last` levels for latents (B, dimension, T)."""
        return self.vq.encode(self.input_proj(latents), last=last)

    def decode(self, codes: Tensor) -> Tensor:
        """Return latents (B, dimension, T) of codes (n, B, T) of the first n levels."""
        return self.output_proj(self.vq.decode(codes).to(self.output_proj.weight.dtype))

    def forward(self, latents: Tensor, levels: int | None = None) -> Quantized:
        """Quantise latents (B, dimension, T) by the first `levels` codebooks, with gradients.

        `residuals` and `parts` are in the inner space.
        """
        found = self.vq(self.input_proj(latents), levels)
        return found._replace(latents=self.output_proj(found.latents))


class SplitVQ(nn.Module):
    """A semantic codebook in parallel with residual acoustic ones, on the same latents; their outputs are added."""

    def __init__(self, levels: int, size: int, dimension: int, inner: int) -> None:
        super().__init__()
        self.levels = levels
        self.semantic = ProjectedVQ(1, size, dimension, inner)
        self.acoustic = ProjectedVQ(levels - 1, size, dimension, inner)

    def encode(self, latents: Tensor, *, last: int | None = None) -> Tensor:
        """Return the codes (last, B, T), the semantic level first, of latents (B, dimension, T)."""
        last = self._checked(last)
        semantic = self.semantic.encode(latents)
        return semantic if last == 1 else torch.cat([semantic, self.acoustic.encode(latents, last=last - 1)])

    def decode(self, codes: Tensor) -> Tensor:
        """Return latents (B, dimension, T) of codes (n, B, T) of the first n levels."""
        last = self._checked(len(codes))
        semantic = self.semantic.decode(codes[:1])
        return semantic if last == 1 else semantic + self.acoustic.decode(codes[1:])

    def forward(self, latents: Tensor, levels: int | None = None) -> Quantized:
        """Quantise latents (B, dimension, T) by the first `levels` codebooks, with gradients.

        The commitment is the mean over all levels in use; `residuals` and `parts` are in the inner spaces.
        """
        levels = self._checked(levels)
        semantic = self.semantic(latents)
        if levels == 1:
            return semantic
        acoustic = self.acoustic(latents, levels - 1)
        commitment = (semantic.commitment + (levels - 1) * acoustic.commitment) / levels
        codes, residuals, parts = (torch.cat(pair) for pair in zip(semantic[2:], acoustic[2:], strict=True))
        return Quantized(semantic.latents + acoustic.latents, commitment, codes, residuals, parts)

    def _checked(self, last: int | None) -> int:
        last = self.levels if last is None else last
        if not 0 < last <= self.levels:
            raise ValueError(must("levels", f"from 1 to {self.levels}, counted from the semantic one", last))
        return last
