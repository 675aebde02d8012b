"""One codebook with Euclidean distances: latents to codes and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wavtokenizer.norms import KeepsFloat32, widened

__all__ = ["EuclideanCodebook"]


class EuclideanCodebook(KeepsFloat32):
    """`size` code vectors, a buffer: training moves them by running means, not by gradients (arXiv 1711.00937).

    The codebook and the distances stay in float32 when the model is cast to half precision.
    """

    embed: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.randn(size, dimension))

    def encode(self, latents: Tensor) -> Tensor:
        """Latents (B, dimension, T) to the nearest codes (B, T), int64."""
        x = widened(latents).mT
        distances = x.square().sum(-1, keepdim=True) - 2 * x @ self.embed.T + self.embed.square().sum(-1)
        return distances.argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, T) to code vectors (B, dimension, T)."""
        return F.embedding(codes, self.embed).mT

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, dimension, T) to (quantised latents, commitment loss, codes (B, T)).

        The quantised latents are straight-through: their gradient is the latents'. The commitment loss is the mean
        squared distance of the latents to their codes, with gradients to the latents only.
        """
        codes = self.encode(latents)
        quantized = self.decode(codes).to(latents.dtype)
        commitment = F.mse_loss(latents, quantized)
        return latents + (quantized - latents).detach(), commitment, codes
