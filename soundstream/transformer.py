"""Causal transformer over frames with a limited context, as in Mimi (arXiv 2410.00037, section 3.3.1).

Keys are cached without rotary positions and rotated for each chunk by their distance, so that streams are unbounded and
positions do not lose precision.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.positions import rotary, rotate
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.streaming import State, Stateful
from soundstream.config import TransformerConfig

__all__ = ["Transformer"]

_THETA = 10000.0
_SCALE = 0.01
"""Layer scale at the start of training."""


class Attention(Stateful):
    """Self-attention of each frame to itself and the context - 1 frames before it."""

    def __init__(self, dim: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads, self.context = heads, context
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, state: State) -> Tensor:
        """(B, T, dim) to the same shape; the state holds keys and values of the last context - 1 frames."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self in state:
            k, v = (torch.cat(pair, 2) for pair in zip(state[self], (k, v), strict=True))
        kept = max(0, k.shape[2] - self.context + 1)
        state[self] = (k[:, :, kept:].clone(), v[:, :, kept:].clone())
        places = torch.arange(k.shape[2], device=x.device)
        cos, sin = rotary(places[None], q.shape[-1], _THETA, torch.promote_types(x.dtype, torch.float32))
        before = k.shape[2] - q.shape[2]
        distance = places[before:, None] - places
        mask = (distance >= 0) & (distance < self.context)
        turned = rotate(q, (cos[:, :, before:], sin[:, :, before:])), rotate(k, (cos, sin))
        return self.out(F.scaled_dot_product_attention(*turned, v, mask).transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    """x + s1 attention(norm(x)), then x + s2 W2 gelu(W1 norm(x)), with a learned scale for each channel."""

    def __init__(self, dim: int, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm32(dim), LayerNorm32(dim)
        self.attention = Attention(dim, config.heads, config.context)
        self.up = nn.Linear(dim, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, dim, bias=False)
        self.scale1 = nn.Parameter(torch.full((dim,), _SCALE))
        self.scale2 = nn.Parameter(torch.full((dim,), _SCALE))

    def forward(self, x: Tensor, state: State) -> Tensor:
        """(B, T, dim) to the same shape."""
        x = x + self.scale1 * self.attention(self.norm1(x), state)
        return x + self.scale2 * self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(Stateful):
    """Layers over latents, without a final norm."""

    def __init__(self, dim: int, config: TransformerConfig) -> None:
        super().__init__()
        self.context = config.context
        self.layers = nn.ModuleList(Layer(dim, config) for _ in range(config.layers))

    def forward(self, latents: Tensor, state: State | None = None) -> Tensor:
        """Latents (B, dim, T) to the same shape, in memory linear in T."""
        state = State() if state is None else state
        return torch.cat([self._chunk(chunk, state) for chunk in latents.mT.split(self.context, 1)], 1).mT

    def _chunk(self, x: Tensor, state: State) -> Tensor:
        for layer in self.layers:
            x = layer(x, state)
        return x
