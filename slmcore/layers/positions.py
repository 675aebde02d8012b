"""Positional encodings of a transformer: rotations of queries and keys, or vectors added to the embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

__all__ = ["Learned", "Positions", "Rotary", "Sinusoidal", "Turn", "rotary", "rotate"]

Turn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Function of queries and keys, (B, heads, T, head_dim) each, that applies the positions of one forward pass."""


class Positions(Protocol):
    """Positional encoding of a transformer."""

    def embedded(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return the first layer's input for token embeddings x (B, T, dim) at `positions` (B, T), int64."""
        ...

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Turn:
        """Return the function that attention applies to queries and keys at `positions` (B, T), for all layers."""
        ...


class Rotary:
    """Rotary positions over adjacent pairs (Su et al. 2021, arXiv 2104.09864, equation 34)."""

    def __init__(self, head_dim: int, theta: float) -> None:
        self.head_dim, self.theta = head_dim, theta

    def embedded(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return the embeddings x (B, T, dim) as they are."""
        return x

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Turn:
        """Return the rotation of queries and keys; its angles are computed in `dtype`."""
        return partial(_turn_pairs, rotary(positions, self.head_dim, self.theta, dtype))


class Sinusoidal:
    """Sines in the first half of the columns and cosines in the second, added to scaled embeddings.

    Frequencies fall from 1 to 1/10000 over the columns of a half, both ends included, as in tensor2tensor and fairseq.
    Vaswani et al. 2017 (arXiv 1706.03762), section 3.5, interleave the columns and stop one step before the end.
    """

    def __init__(self, scale: float, first: int) -> None:
        """`scale` multiplies the embeddings; `first` is the row of position 0 in the table."""
        self.scale, self.first = scale, first

    def embedded(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return x (B, T, dim), scaled, plus the vectors of `positions` (B, T)."""
        wide = torch.promote_types(x.dtype, torch.float32)
        half = x.shape[-1] // 2
        columns = torch.arange(half, device=x.device, dtype=wide)
        rates = torch.exp(columns * (-math.log(10000.0) / max(1, half - 1)))
        angles = (positions + self.first).unsqueeze(-1).to(wide) * rates
        return x * self.scale + torch.cat([angles.sin(), angles.cos()], -1).to(x.dtype)

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Turn:
        """Return the identity on queries and keys."""
        return _unturned


class Learned(nn.Module):
    """A learned vector for each position, added to the embeddings (GPT, OPT)."""

    def __init__(self, longest: int, dim: int) -> None:
        """`longest` is the number of positions."""
        super().__init__()
        self.table = nn.Embedding(longest, dim)

    def embedded(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return x (B, T, dim) plus the vectors of `positions` (B, T), those beyond the last as the last."""
        return x + self.table(positions.clamp(max=self.table.num_embeddings - 1))

    def turn(self, positions: Tensor, dtype: torch.dtype) -> Turn:
        """Return the identity on queries and keys."""
        return _unturned


def rotary(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return cosines and signed sines of the rotary angles, (B, 1, T, head_dim) each, for positions (B, T).

    Source: Su et al. 2021 (arXiv 2104.09864), section 3.2.2, equation 34.
    """
    pairs = torch.arange(0, head_dim, 2, device=positions.device, dtype=dtype)
    angles = positions[:, None, :, None].to(dtype) * theta ** (-pairs / head_dim)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, cos], dim=-1).flatten(-2), torch.stack([-sin, sin], dim=-1).flatten(-2)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate adjacent pairs of the last axis of (B, H, T, head_dim): the complex, not the half-split layout."""
    cos, sin = angles
    wide = x.to(cos.dtype)
    swapped = wide.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(wide * cos, swapped, sin).to(x.dtype)


def _turn_pairs(angles: tuple[Tensor, Tensor], q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    # Rotated as one: for a single token, kernel calls cost more than their work.
    q, k = rotate(torch.cat([q, k], 1), angles).split([q.shape[1], k.shape[1]], 1)
    return q, k


def _unturned(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    return q, k
