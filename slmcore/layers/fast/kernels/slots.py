"""Rotary positions written straight to a cache, and attention of few queries over its slots, split over the keys."""

# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from slmcore.layers.fast.switch import interpreted

__all__ = ["launch_attend", "launch_turn"]

_LEAST = 16
_MANY = 4096
_KEYS = 64
_PROGRAMS = 264
"""Programs that fill a large card twice; with fewer sequences and heads the keys of each are split."""
_LEAST_CHUNK = 256
"""Fewest slots that are worth a program of their own."""


def launch_turn(
    qkv: Tensor, positions: Tensor, heads: int, theta: float, keys: Tensor | None, values: Tensor | None
) -> None:
    """Run the kernel; arguments as for `slmcore.layers.fast.slots.turn`."""
    rows, parts, dim = qkv.shape
    kv_heads = (parts - heads) // 2
    stored = keys is not None and values is not None
    cache: tuple[Tensor, Tensor] = (keys, values) if keys is not None and values is not None else (qkv[None], qkv)
    turned = parts if stored else heads + kv_heads
    # A few rows, as in decoding, are spread over the device; of many, a program has several parts.
    together = 4 if rows < _MANY else 16
    _turn[rows, triton.cdiv(turned, together)](
        *(
            qkv,
            positions.contiguous(),
            _rates(dim, theta, qkv.device),
            *cache,
            qkv.stride(0),
            *cache[0].stride()[:3],
            rows // len(cache[0]),
        ),
        HEADS=heads,
        KV_HEADS=kv_heads,
        DIM=dim,
        HALF=triton.next_power_of_2(dim // 2),
        PARTS=together,
        STORED=stored,
        num_warps=1,
    )


@functools.cache
def _rates(dim: int, theta: float, device: torch.device) -> Tensor:
    """Return the numbers of the plain computation: within the kernel, a power would round otherwise."""
    return theta ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)


@triton.jit
def _turn(
    qkv,  # (N, heads + 2 G, D)
    positions,  # (N,)
    rates,  # (D / 2,)
    keys,  # (B, G, slots, D)
    values,
    row_stride,
    cache_row,
    cache_head,
    cache_slot,
    rows_of_one,  # rows that belong to a row of the cache
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    DIM: tl.constexpr,
    HALF: tl.constexpr,
    PARTS: tl.constexpr,  # heads of a program
    STORED: tl.constexpr,
):
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1) * PARTS + tl.arange(0, PARTS)
    pair, d = tl.arange(0, HALF), tl.arange(0, 2 * HALF)
    turned = part < HEADS + KV_HEADS
    is_value = (part >= HEADS + KV_HEADS) & (part < HEADS + 2 * KV_HEADS)
    wide = (d < DIM)[None, :]
    here = qkv + row * row_stride + part[:, None] * DIM + d[None, :]
    x = tl.load(here, mask=(turned | (is_value & STORED))[:, None] & wide, other=0.0)
    a, b = tl.split(tl.reshape(x.to(tl.float32), (PARTS, HALF, 2)))
    position = tl.load(positions + row)
    angle = position.to(tl.float32) * tl.load(rates + pair, mask=pair < DIM // 2, other=0.0)
    cos, sin = tl.cos(angle)[None, :], tl.sin(angle)[None, :]
    pairs = tl.join(a * cos - b * sin, b * cos + a * sin)
    y = tl.reshape(pairs, (PARTS, 2 * HALF)).to(x.dtype)
    if STORED:
        tl.store(here, y, mask=(part < HEADS)[:, None] & wide)
        slot = (row // rows_of_one) * cache_row + position * cache_slot + d[None, :]
        is_key = turned & (part >= HEADS)
        tl.store(keys + slot + (part - HEADS)[:, None] * cache_head, y, mask=is_key[:, None] & wide)
        tl.store(values + slot + (part - HEADS - KV_HEADS)[:, None] * cache_head, x, mask=is_value[:, None] & wide)
    else:
        tl.store(here, y, mask=turned[:, None] & wide)


def launch_attend(q: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> Tensor:
    """Run the kernels; arguments as for `slmcore.layers.fast.slots.attend_slots`."""
    rows, heads, dim = q.shape
    batch, kv_heads, slots, _ = keys.shape
    positions = positions.contiguous()
    group, each = heads // kv_heads, rows // batch
    splits = min(-(-_PROGRAMS // (batch * kv_heads)), -(-slots // _LEAST_CHUNK))
    chunk = -(-slots // (splits * _KEYS)) * _KEYS
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    means = torch.empty(splits, *q.shape, device=q.device) if splits > 1 else out
    tops, totals = torch.empty(2, splits, rows, heads, device=q.device)
    width = max(_LEAST, triton.next_power_of_2(dim))
    _attend[batch * kv_heads, splits](
        *(q, keys, values, positions, means, tops, totals, q.stride(0), q.stride(1), *keys.stride()[:3]),
        *(rows, chunk, math.log2(math.e) / math.sqrt(dim)),
        EACH=each,
        GROUP=group,
        KV_HEADS=kv_heads,
        QUERIES=max(_LEAST, triton.next_power_of_2(each * group)),
        DIM=dim,
        WIDTH=width,
        KEYS=_KEYS,
        WHOLE=splits == 1,
        LOOP=chunk if interpreted else 0,
        num_warps=4,
        num_stages=3,
    )
    if splits > 1:
        _combine[rows, heads](
            *(means, tops, totals, positions, out, rows, chunk, splits),
            HEADS=heads,
            DIM=dim,
            WIDTH=width,
            SPLITS=triton.next_power_of_2(splits),
            num_warps=1,
        )
    return out


@triton.jit
def _attend(
    q,  # (N, H, D)
    keys,  # (B, G, slots, D)
    values,
    positions,  # (N,)
    means,  # (splits, N, H, D), or the result
    tops,  # (splits, N, H)
    totals,
    q_row,
    q_head,
    cache_row,
    cache_head,
    cache_slot,
    rows,
    chunk,
    scale,
    EACH: tl.constexpr,  # queries of a row of the cache
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    QUERIES: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    KEYS: tl.constexpr,
    WHOLE: tl.constexpr,
    LOOP: tl.constexpr,
):
    of = tl.program_id(0).to(tl.int64)
    sequence, kv_head, split = of // KV_HEADS, of % KV_HEADS, tl.program_id(1)
    r, d = tl.arange(0, QUERIES), tl.arange(0, WIDTH)
    row, head = sequence * EACH + r // GROUP, kv_head * GROUP + r % GROUP
    is_query, wide = r < EACH * GROUP, d < DIM
    position = tl.load(positions + row, mask=is_query, other=-1)
    begin = split * chunk
    stop = tl.minimum(tl.max(position, 0).to(tl.int32) + 1, begin + chunk)
    if begin < stop:
        at = q + row[:, None] * q_row + head[:, None] * q_head + d[None, :]
        x = tl.load(at, mask=is_query[:, None] & wide[None, :], other=0.0)
        base = sequence * cache_row + kv_head * cache_head
        top = tl.full((QUERIES,), float("-inf"), tl.float32)
        total = tl.zeros((QUERIES,), tl.float32)
        mean = tl.zeros((QUERIES, WIDTH), tl.float32)
        for place in range(0, LOOP if LOOP else stop - begin, KEYS):
            j = begin + place + tl.arange(0, KEYS)
            there = base + j[:, None] * cache_slot + d[None, :]
            seen = (j < stop)[:, None] & wide[None, :]
            k = tl.load(keys + there, mask=seen, other=0.0)
            scores = tl.dot(x, tl.trans(k), input_precision="ieee") * scale
            scores = tl.where((j < stop)[None, :] & (j[None, :] <= position[:, None]), scores, float("-inf"))
            higher = tl.maximum(top, tl.max(scores, 1))
            # A query none of whose keys lie in this chunk keeps the lowest top: nothing but zeros is added.
            least = tl.where(higher == float("-inf"), 0.0, higher)
            shrink = tl.exp2(top - least)
            shares = tl.exp2(scores - least[:, None])
            v = tl.load(values + there, mask=seen, other=0.0)
            total = total * shrink + tl.sum(shares, 1)
            mean = tl.dot(shares.to(v.dtype), v, mean * shrink[:, None], input_precision="ieee")
            top = higher
        at = (split * rows + row) * (GROUP * KV_HEADS) + head
        if WHOLE:
            mean = mean / total[:, None]
        else:
            tl.store(tops + at, top, mask=is_query)
            tl.store(totals + at, total, mask=is_query)
        inside = is_query[:, None] & wide[None, :]
        tl.store(means + at[:, None] * DIM + d[None, :], mean.to(means.dtype.element_ty), mask=inside)


@triton.jit
def _combine(
    means,  # (splits, N, H, D)
    tops,  # (splits, N, H)
    totals,
    positions,  # (N,)
    out,  # (N, H, D)
    rows,
    chunk,
    splits,
    HEADS: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    SPLITS: tl.constexpr,
):
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    split, d = tl.arange(0, SPLITS), tl.arange(0, WIDTH)
    used = (split < splits) & (split * chunk <= tl.load(positions + row))
    at = (split * rows + row) * HEADS + head
    top = tl.load(tops + at, mask=used, other=float("-inf"))
    share = tl.exp2(top - tl.max(top, 0))
    total = tl.sum(share * tl.load(totals + at, mask=used, other=0.0), 0)
    inside = used[:, None] & (d < DIM)[None, :]
    mean = tl.load(means + at[:, None] * DIM + d[None, :], mask=inside, other=0.0)
    result = tl.sum(mean * share[:, None], 0) / total
    tl.store(out + (row * HEADS + head) * DIM + d, result.to(out.dtype.element_ty), mask=d < DIM)
