"""The bricks of WavLM (Chen et al., arXiv 2110.13900): frontend, position, gated attention, block."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.precision import Float32, LayerNorm32

__all__ = ["Attention", "Block", "Frontend", "FrontendLayer", "PositionBias", "PositionConv", "strided_conv"]

_CACHED = 1 << 21
"""Elements (8 MB) that a processor's cache holds: on a CPU, what is larger is computed in pieces of about that size.

Beside the cache's speed, pieces of this size are taken again from the process's own memory, where the system would have
to hand out, and clear, larger ones anew each time. Both together are a fifth of the time of WavLM large.
"""


def strided_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Conv1d without bias or padding, on frames that lie in rows: (B, T, C) -> (B, frames, out).

    `stride` neighbouring rows are one row of a matrix without a copy, so that the convolution is one matrix product for
    each full stride of the kernel and one for each tap left over. On a CPU this takes half the time of `conv1d`, and a
    third with the gradient; the norm that follows needs no transposition.
    """
    out, channels, kernel = weight.shape
    frames = (x.shape[1] - kernel) // stride + 1
    taps = weight.permute(2, 1, 0)
    if channels == 1:
        return x.squeeze(-1).unfold(1, kernel, stride) @ taps.squeeze(1)
    whole = kernel - kernel % stride
    parts = [
        x[:, at : at + frames * stride].reshape(-1, frames, stride * channels) @ taps[at : at + stride].reshape(-1, out)
        for at in range(0, whole, stride)
    ]
    parts += [x[:, at::stride][:, :frames] @ taps[at] for at in range(whole, kernel)]
    return sum(parts[1:], parts[0])


class FrontendLayer(nn.Module):
    """Strided convolution, layer norm over the channels, GELU: (B, T, in) -> (B, frames, channels)."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, in_channels, kernel))
        nn.init.kaiming_normal_(self.weight)
        self.norm = LayerNorm32(channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.gelu(self.norm(strided_conv(x, self.weight, self.stride)))


class PositionConv(nn.Conv1d):
    """Grouped convolution over time, added to its input as the absolute position: (B, T, dim) -> (B, T, dim)."""

    def __init__(self, dim: int, kernel: int, groups: int) -> None:
        super().__init__(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(self.weight, std=math.sqrt(4 / (kernel * dim)))

    def forward(self, x: Tensor) -> Tensor:
        """An even kernel gives one frame too many; the last is dropped, as published."""
        position = super().forward(x.transpose(1, 2))[..., : x.shape[1]]
        return x + F.gelu(position).transpose(1, 2)


class PositionBias(Float32):
    """T5's bucketed relative positions: half the buckets for each sign, exact when near, logarithmic when far."""

    def __init__(self, heads: int, num_buckets: int, max_distance: int) -> None:
        super().__init__()
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.weight = nn.Parameter(torch.empty(num_buckets, heads))
        nn.init.normal_(self.weight, std=0.02)

    def buckets(self, offsets: Tensor) -> Tensor:
        """The bucket of each key position minus query position; int64 in and out."""
        half = self.num_buckets // 2
        exact = half // 2
        distance = offsets.abs()
        ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = (exact + (ratio * (half - exact)).long()).clamp(max=half - 1)
        return torch.where(distance < exact, distance, far) + half * (offsets > 0)

    def forward(self, frames: int) -> Tensor:
        """The bias of each head, query and key, not yet gated: float32 (1, heads, frames, frames)."""
        offsets = torch.arange(1 - frames, frames, device=self.weight.device)
        # Contiguous, since the result would keep the order of the axes and have the heads innermost.
        by_offset = self.weight[self.buckets(offsets)].T.contiguous()
        # Row s of the windows starts at offset 1 - frames + s, which is what query frames - 1 - s sees first.
        return by_offset.unfold(1, frames, 1).flip(1)[None]


class Attention(nn.Module):
    """Self-attention with WavLM's gated relative position bias."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))
        self.gate_proj = nn.Linear(dim // heads, 8)
        self.gate_scale = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """`x` (B, T, dim), `bias` (1, heads, T, T), `padding` (B, T), True at keys that nobody may see."""
        batch, frames, dim = x.shape
        gate = self.gate(x)
        q, k, v = (self._split(proj(x)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        few = self.heads if x.is_cuda else max(1, _CACHED // (batch * frames**2))
        parts = zip(*(each.split(few, dim=1) for each in (q, k, v, gate, bias)), strict=True)
        y = torch.cat([_attend(q, k, v, gate * bias, padding) for q, k, v, gate, bias in parts], dim=1)
        return self.out_proj(y.transpose(1, 2).reshape(batch, frames, dim))

    def gate(self, x: Tensor) -> Tensor:
        """How much each query heeds its relative position: a (b scale - 1) + 2, float32 (B, heads, T, 1)."""
        # Of the 8 outputs the first four are summed and the last four: the same as summing the weights first.
        weight = self.gate_proj.weight.unflatten(0, (2, 4)).sum(1)
        bias = self.gate_proj.bias.unflatten(0, (2, 4)).sum(1)
        a, b = F.linear(self._split(x), weight, bias).float().sigmoid().chunk(2, dim=-1)
        return a * (b * self.gate_scale.float() - 1) + 2

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
    if padding is not None:
        bias = bias.masked_fill(padding[:, None, None], -math.inf)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, ffn_dim: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.ffn_norm = LayerNorm32(dim), LayerNorm32(dim)
        self.attention = Attention(dim, heads)
        self.fc1, self.fc2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """`x` (B, T, dim) -> (B, T, dim); the other arguments are those of `Attention`."""
        x = x + self.attention(self.attention_norm(x), bias, padding)
        return x + self.fc2(F.gelu(self.fc1(self.ffn_norm(x))))


class Frontend(nn.Sequential):
    """The stack of convolutions from samples to frames of `field` samples each: (B, samples, 1) -> (B, T, channels)."""

    def __init__(self, conv_layers: Sequence[tuple[int, int, int]], hop: int, field: int) -> None:
        inputs = [1, *(channels for channels, _, _ in conv_layers)]
        super().__init__(*(FrontendLayer(i, *layer) for i, layer in zip(inputs[:-1], conv_layers, strict=True)))
        self.hop, self.field = hop, field
        channels, _, stride = conv_layers[0]
        self._elements_a_frame = channels * hop // stride

    def forward(self, input: Tensor) -> Tensor:
        """On a CPU in pieces whose first layer fits in the cache, which give the frames that the whole gives."""
        if input.is_cuda:
            return super().forward(input)
        step = max(1, _CACHED // self._elements_a_frame) * self.hop
        overlap = self.field - self.hop
        starts = range(0, input.shape[1] - self.field + 1, step)
        rows = [
            [super(Frontend, self).forward(row[:, at : at + step + overlap]) for at in starts] for row in input.split(1)
        ]
        return torch.cat([torch.cat(row, dim=1) for row in rows])
