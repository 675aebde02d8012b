"""Vector quantisation by Euclidean distance: one codebook, and residual quantisation by several."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.checks import described
from slmcore.errors import must
from slmcore.layers.precision import Float32, widened

__all__ = ["EuclideanCodebook", "Quantized", "ResidualVQ", "check_codes"]


class Quantized(NamedTuple):
    """A batch of latents after residual quantisation."""

    latents: Tensor
    """(B, dimension, T): the sum of the code vectors, straight-through (its gradient is the input's)."""
    commitment: Tensor
    """Scalar: mean over the levels of the mean squared distance between a level's input and its code vectors."""
    codes: Tensor
    """(levels, B, T), int64."""
    residuals: Tensor
    """(levels, B, dimension, T): the input of each level, detached."""
    parts: Tensor
    """(levels, B, dimension, T): the code vectors of each level, straight-through."""


class EuclideanCodebook(Float32):
    """Codebook of `size` code vectors, a buffer: trained by running means, not by gradients (arXiv 1711.00937).

    The codebook and the distances stay in float32 when the model is cast to half precision.
    """

    embed: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.randn(size, dimension))

    def encode(self, latents: Tensor) -> Tensor:
        """Return the nearest codes (B, T), int64, of latents (B, dimension, T); the first in a tie."""
        x = widened(latents).mT
        distances = x.square().sum(-1, keepdim=True) - 2 * x @ self.embed.T + self.embed.square().sum(-1)
        return distances.argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the code vectors (B, dimension, T) of codes (B, T)."""
        return F.embedding(codes, self.embed).mT

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise latents (B, dimension, T): (quantised latents, commitment loss, codes (B, T)).

        The quantised latents are straight-through: their gradient is the latents'. The commitment loss is the mean
        squared distance of the latents to their codes, with gradients to the latents only.
        """
        codes = self.encode(latents)
        quantized = self.decode(codes).to(latents.dtype)
        commitment = F.mse_loss(latents, quantized)
        return latents + (quantized - latents).detach(), commitment, codes


class ResidualVQ(nn.Module):
    """Residual vector quantiser (SoundStream, arXiv 2107.03312, algorithm 1)."""

    def __init__(self, levels: int, size: int, dimension: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EuclideanCodebook(size, dimension) for _ in range(levels))

    @property
    def levels(self) -> int:
        """Number of codebooks."""
        return len(self.layers)

    @property
    def first(self) -> EuclideanCodebook:
        """The first codebook."""
        return self._between(0, 1)[0]

    def encode(self, latents: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Return the codes (last - first, B, T), int64, of levels first..last - 1 for latents (B, dimension, T).

        With first > 0, level `first` quantises the latents themselves, not a residual.
        """
        residual, codes = widened(latents), []
        for layer in self._between(first, last):
            codes.append(layer.encode(residual))
            residual = residual - layer.decode(codes[-1])
        return torch.stack(codes)

    def decode(self, codes: Tensor, first: int = 0) -> Tensor:
        """Return the sum (B, dimension, T) of the vectors of codes (n, B, T) of levels first..first + n - 1."""
        total, *rest = self.vectors(codes, first)
        return sum(rest, start=total)

    def vectors(self, codes: Tensor, first: int = 0) -> list[Tensor]:
        """Return each level's vectors (B, dimension, T) for codes (n, B, T) of levels first..first + n - 1."""
        layers = self._between(first, first + len(codes))
        return [layer.decode(level) for layer, level in zip(layers, codes, strict=True)]

    def forward(self, latents: Tensor, levels: int | None = None) -> Quantized:
        """Quantise latents (B, dimension, T) by the first `levels` codebooks (None: all), with gradients.

        Residuals are taken of detached code vectors, so that the commitment of every level trains the encoder.
        """
        residuals, codes, parts = [widened(latents)], [], []
        for layer in self._between(0, levels):
            codes.append(layer.encode(residuals[-1]))
            parts.append(layer.decode(codes[-1]))
            residuals.append(residuals[-1] - parts[-1])
        vectors, inputs, chosen = torch.stack(parts), torch.stack(residuals[:-1]), torch.stack(codes)
        straight = latents + (self.decode(chosen).to(latents.dtype) - latents).detach()
        parts_straight = inputs + (vectors - inputs).detach()
        return Quantized(straight, F.mse_loss(inputs, vectors), chosen, inputs.detach(), parts_straight)

    def _between(self, first: int, last: int | None) -> list[EuclideanCodebook]:
        last = self.levels if last is None else last
        if not 0 <= first < last <= self.levels:
            raise ValueError(must("levels", f"a range within 0..{self.levels}", f"a range {first}..{last}"))
        return [layer for layer in self.layers[first:last] if isinstance(layer, EuclideanCodebook)]


def check_codes(codes: Tensor, size: int, shape: str, axes: int) -> None:
    """Raise a ValueError unless `codes` is an integer tensor of `axes` axes, named by `shape`, within 0..size - 1."""
    if not isinstance(codes, Tensor) or codes.ndim != axes:
        raise ValueError(must("codes", f"an integer tensor {shape}", described(codes)))
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(must("codes", f"an integer tensor {shape}", described(codes), "Use `codes.long()`."))
    wide = codes.long()  # torch has no minimum of all unsigned types
    if codes.numel() and (int(wide.min()) < 0 or int(wide.max()) >= size):
        found = f"a tensor with values from {int(wide.min())} to {int(wide.max())}"
        raise ValueError(must("codes", f"from 0 to {size - 1}", found, "Were they made by another codec?"))
