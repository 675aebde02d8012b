"""Layers specific to WavLM (Chen et al., arXiv 2110.13900): bucketed relative positions, gated attention."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.fast.attention import GatedBias, Rows, attend_rows
from slmcore.layers.precision import Float32
from slmcore.layers.ssl.blocks import split_heads
from slmcore.layers.ssl.frontend import CACHED

__all__ = ["Attention", "PositionBias"]


class PositionBias(Float32):
    """T5's bucketed relative positions: half the buckets per sign, exact for small distances, logarithmic beyond."""

    def __init__(self, heads: int, num_buckets: int, max_distance: int) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.weight = nn.Parameter(torch.empty(num_buckets, heads))
        nn.init.normal_(self.weight, std=0.02)

    def buckets(self, offsets: Tensor) -> Tensor:
        """Return the bucket of each key position minus query position; int64 in and out."""
        half = self.num_buckets // 2
        exact = half // 2
        distance = offsets.abs()
        ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
        return torch.where(distance < exact, distance, far) + half * (offsets > 0)

    def by_offset(self, frames: int) -> Tensor:
        """Return the bias of each head at offsets 1 - frames to frames - 1: float32 (heads, 2 frames - 1)."""
        offsets = torch.arange(1 - frames, frames, device=self.weight.device)
        # Contiguous, since what is made of it would keep the order of the axes and have the heads innermost.
        return self.weight[self.buckets(offsets)].T.contiguous()

    def forward(self, frames: int) -> Tensor:
        """Return the ungated bias of each head, query and key: float32 (1, heads, frames, frames)."""
        # Row s of the windows starts at offset 1 - frames + s, the first one of query frames - 1 - s.
        return self.by_offset(frames).unfold(1, frames, 1).flip(1)[None]


class Attention(nn.Module):
    """Self-attention with WavLM's gated relative position bias."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))
        self.gate_proj = nn.Linear(dim // heads, 8)
        self.gate_scale = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """`x` (B, T, dim), `bias` (1, heads, T, T), `padding` (B, T), True at masked keys."""
        batch, frames, dim = x.shape
        gate = self.gate(x)
        q, k, v = (split_heads(proj(x), self.heads) for proj in (self.q_proj, self.k_proj, self.v_proj))
        few = self.heads if x.is_cuda else max(1, CACHED // (batch * frames**2))
        parts = zip(*(each.split(few, dim=1) for each in (q, k, v, gate, bias)), strict=True)
        y = torch.cat([_attend(q, k, v, gate * bias, padding) for q, k, v, gate, bias in parts], dim=1)
        return self.out_proj(y.transpose(1, 2).reshape(batch, frames, dim))

    def gate(self, x: Tensor) -> Tensor:
        """Return the gate of each query's relative position: a (b scale - 1) + 2, float32 (B, heads, T, 1)."""
        return self._gate(split_heads(x, self.heads), self.gate_scale)

    def on_rows(self, x: Tensor, rows: Rows, by_offset: Tensor) -> Tensor:
        """Return `forward` of packed frames x (N, dim), whose `by_offset` is that of `PositionBias`, for GPUs."""
        parts = x.unflatten(-1, (self.heads, -1))
        gate = self._gate(parts, self.gate_scale.view(self.heads, 1)).squeeze(-1)
        q, k, v = (proj(x).unflatten(-1, (self.heads, -1)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(attend_rows(q, k, v, rows, bias=GatedBias(gate, by_offset)).flatten(1))

    def _gate(self, parts: Tensor, scale: Tensor) -> Tensor:
        """Gates (..., 1) of what each head sees, (..., dim / heads)."""
        # The first and the last four of the 8 outputs are summed: equal to summing the weights first.
        weight = self.gate_proj.weight.unflatten(0, (2, 4)).sum(1)
        bias = self.gate_proj.bias.unflatten(0, (2, 4)).sum(1)
        a, b = F.linear(parts, weight, bias).float().sigmoid().chunk(2, dim=-1)
        return a * (b * scale.float() - 1) + 2


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
    if padding is not None:
        bias = bias.masked_fill(padding[:, None, None], -math.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
