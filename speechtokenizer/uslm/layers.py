"""The transformer layers of USLM: pre- or post-norm, with norms that may depend on the level to be predicted."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.cache import Slots
from slmcore.layers.precision import LayerNorm32

__all__ = ["Stack", "sinusoid"]

_FEED_FORWARD = 4


def sinusoid(positions: Tensor, dim: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return position vectors (..., dim) for positions (...): sines in even columns, cosines in odd ones.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5.
    """
    rates = torch.exp(torch.arange(0, dim, 2, device=positions.device, dtype=dtype) * (-math.log(10000.0) / dim))
    angles = positions.unsqueeze(-1).to(dtype) * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None, slots: Slots | None, index: int) -> Tensor:
        """(B, T, dim) to the same shape; `mask` (B, 1, T, keys) bool, None for all; `slots` of the cache of layers."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if slots is not None:
            k, v = slots.extend(index, k, v)
        dropout = self.dropout if self.training else 0.0
        return self.out(F.scaled_dot_product_attention(q, k, v, mask, dropout).transpose(1, 2).flatten(-2))


class Norm(LayerNorm32):
    """Layer norm independent of the level."""

    def forward(self, input: Tensor, level: Tensor | None = None) -> Tensor:
        """(..., dim) to the same shape."""
        return super().forward(input)


class AdaptiveNorm(nn.Module):
    """Layer norm with a scale and a shift projected from the embedding of a level."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, 2 * dim)
        self.norm = LayerNorm32(dim)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, T, dim) to the same shape; `level` (dim,)."""
        scale, shift = self.project(level).chunk(2, -1)
        return scale * self.norm(x) + shift


class Layer(nn.Module):
    """Attention and a perceptron with ReLU."""

    def __init__(self, dim: int, heads: int, norm_first: bool, adaptive: bool, dropout: float) -> None:
        super().__init__()
        self.norm_first, self.dropout = norm_first, dropout
        self.attention = Attention(dim, heads, dropout)
        self.up = nn.Linear(dim, _FEED_FORWARD * dim)
        self.down = nn.Linear(_FEED_FORWARD * dim, dim)
        self.norm1 = AdaptiveNorm(dim) if adaptive else Norm(dim)
        self.norm2 = AdaptiveNorm(dim) if adaptive else Norm(dim)

    def forward(self, x: Tensor, mask: Tensor | None, level: Tensor | None, slots: Slots | None, index: int) -> Tensor:
        """(B, T, dim) to the same shape."""
        if self.norm_first:
            x = x + self._dropped(self.attention(self.norm1(x, level), mask, slots, index))
            return x + self._perceptron(self.norm2(x, level))
        x = self.norm1(x + self._dropped(self.attention(x, mask, slots, index)), level)
        return self.norm2(x + self._perceptron(x), level)

    def _perceptron(self, x: Tensor) -> Tensor:
        return self._dropped(self.down(self._dropped(F.relu(self.up(x)))))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Stack(nn.Module):
    """Layers in turn and, if they norm their input, a final norm."""

    def __init__(
        self, dim: int, heads: int, layers: int, norm_first: bool, adaptive: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, heads, norm_first, adaptive, dropout) for _ in range(layers))
        self.norm = (AdaptiveNorm(dim) if adaptive else Norm(dim)) if norm_first else None

    def forward(
        self, x: Tensor, mask: Tensor | None = None, level: Tensor | None = None, slots: Slots | None = None
    ) -> Tensor:
        """(B, T, dim) to the same shape; `mask` (B, 1, T, keys) bool; `level` (dim,) if the norms are adaptive."""
        for index, layer in enumerate(self.layers):
            x = layer(x, mask, level, slots, index)
        return x if self.norm is None else self.norm(x, level)
