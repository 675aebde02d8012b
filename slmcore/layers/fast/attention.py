"""Attention within segments of packed rows, with WavLM's gated position bias or causal, and no (T, T) tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.layers.fast.switch import kernels_run

__all__ = ["GatedBias", "Rows", "attend_rows", "plain"]


@dataclass(frozen=True)
class Rows:
    """Segments of packed tensors (N, ...): segment i is rows first[i] to last[i], exclusive."""

    first: Tensor
    """int32 (B,), on the device of the rows."""
    last: Tensor
    """int32 (B,)."""
    longest: int
    """Most rows of a segment."""

    @classmethod
    def padded(cls, batch: int, frames: int, lengths: Tensor | None, device: torch.device) -> Rows:
        """Rows of a padded batch (B, frames) of sequences of `lengths` (B,); None: all are full."""
        first = torch.arange(batch, device=device, dtype=torch.int32) * frames
        return cls(first, first + (frames if lengths is None else lengths.to(torch.int32)), frames)

    @classmethod
    def packed(cls, lengths: Sequence[int], device: torch.device) -> Rows:
        """Consecutive segments of these numbers of rows."""
        ends = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        ends = ends.to(device, non_blocking=True)
        return cls(ends[:-1], ends[1:], max(lengths))


@dataclass(frozen=True)
class GatedBias:
    """A bias of scores that depends on the offset of key and query, weighted by a gate of the query."""

    gate: Tensor
    """float32 (N, H)."""
    by_offset: Tensor
    """float32 (H, 2 R - 1), R >= the longest segment: column R - 1 is offset 0."""


def attend_rows(
    q: Tensor, k: Tensor, v: Tensor, rows: Rows, *, causal: bool = False, bias: GatedBias | None = None
) -> Tensor:
    """Attention of each row over the rows of its segment: (N, H, D) from q (N, H, D), k and v (N, G, D), G dividing H.

    Rows that belong to no segment are zero. The last axis must be contiguous. A row's result depends on its segment
    alone. Raises ValueError for shapes that do not fit.
    """
    n, heads, _ = q.shape
    if k.shape != v.shape or len(k) != n or heads % k.shape[1] or {x.stride(-1) for x in (q, k, v)} != {1}:
        raise ValueError(must("k, v", f"({n}, a divisor of {heads}, head_dim)", (tuple(k.shape), tuple(v.shape))))
    if bias is not None and (bias.gate.shape != (n, heads) or bias.by_offset.shape[1] < 2 * rows.longest - 1):
        raise ValueError(must("bias", f"gates ({n}, {heads}) and all offsets", tuple(bias.by_offset.shape)))
    if not kernels_run(q):
        return plain(q, k, v, rows, causal, bias)
    from slmcore.layers.fast.kernels.attention import launch

    with torch.cuda.device_of(q):  # Triton launches on the current device
        return launch(q, k, v, rows, causal, bias)


def plain(q: Tensor, k: Tensor, v: Tensor, rows: Rows, causal: bool, bias: GatedBias | None) -> Tensor:
    """Reference implementation of `attend_rows`: softmax(q k / sqrt(D) + gate x bias[j - i]) v."""
    out = torch.zeros_like(q, memory_format=torch.contiguous_format)
    repeat, wide = q.shape[1] // k.shape[1], torch.promote_types(q.dtype, torch.float32)
    for first, last in zip(rows.first.tolist(), rows.last.tolist(), strict=True):
        own = slice(first, last)
        queries, keys, values = (x[own].transpose(0, 1).to(wide) for x in (q, k, v))
        keys, values = keys.repeat_interleave(repeat, 0), values.repeat_interleave(repeat, 0)
        scores = queries @ keys.mT / math.sqrt(q.shape[2])
        offsets = torch.arange(last - first, device=q.device) - torch.arange(last - first, device=q.device)[:, None]
        if bias is not None:
            centre = bias.by_offset.shape[1] // 2
            scores = scores + bias.gate[own].T[..., None] * bias.by_offset[:, centre + offsets]
        if causal:
            scores = scores.masked_fill(offsets > 0, -math.inf)
        out[own] = (scores.softmax(-1) @ values).transpose(0, 1).to(q.dtype)
    return out
