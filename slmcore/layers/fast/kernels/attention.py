"""Attention within segments as one pass over keys (Dao et al. 2022, arXiv 2205.14135, algorithm 1).

The gated bias is looked up by offset as the scores are computed: no tensor of size (T, T) is written.
"""

# Triton's language has no annotations, and type checkers do not understand kernel launches.
# ruff: noqa: ANN001, ANN202, N803
# pyright: reportCallIssue=false, reportIndexIssue=false

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from slmcore.layers.fast.attention import GatedBias, Rows
from slmcore.layers.fast.switch import interpreted

__all__ = ["launch"]

_LEAST = 16  # rows and columns of a product, as the language wants it


def launch(q: Tensor, k: Tensor, v: Tensor, rows: Rows, causal: bool, bias: GatedBias | None) -> Tensor:
    """Run the kernel; arguments as `slmcore.layers.fast.attention.attend_rows` has checked them."""
    _, heads, dim = q.shape
    out = torch.zeros_like(q, memory_format=torch.contiguous_format)
    half = q.itemsize == 2
    queries, keys = (64, 64) if half else (32, 32)
    gate, by_offset = (q, q) if bias is None else (bias.gate.contiguous(), bias.by_offset.contiguous())
    if bias is not None and half:
        # In two bytes a bias is read just where it is needed; four would be copied to shared memory tile by tile.
        by_offset = by_offset.half()
    grid = triton.cdiv(rows.longest, queries), heads, len(rows.first)
    _attend[grid](
        *(q, k, v, out, rows.first, rows.last, gate, by_offset),
        *(q.stride(0), q.stride(1), k.stride(0), k.stride(1), v.stride(0), v.stride(1)),
        *(heads, by_offset.shape[-1], math.log2(math.e) / math.sqrt(dim)),
        GROUP=heads // k.shape[1],
        DIM=dim,
        WIDTH=max(_LEAST, triton.next_power_of_2(dim)),
        QUERIES=queries,
        KEYS=keys,
        CAUSAL=causal,
        BIASED=bias is not None,
        LOOP=rows.longest if interpreted else 0,
        num_warps=4,
        num_stages=3,
    )
    return out


@triton.jit
def _attend(
    q,  # (N, H, D)
    k,  # (N, G, D)
    v,
    out,  # (N, H, D), contiguous
    first,  # (B,)
    last,
    gate,  # (N, H)
    by_offset,  # (H, offsets)
    q_row,  # strides
    q_head,
    k_row,
    k_head,
    v_row,
    v_head,
    heads,
    offsets,
    scale,  # of scores whose exponential is one of 2
    GROUP: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    CAUSAL: tl.constexpr,
    BIASED: tl.constexpr,
    LOOP: tl.constexpr,  # keys to go through where the interpreter cannot take their number from memory
):
    head, segment = tl.program_id(1), tl.program_id(2)
    begin = tl.load(first + segment).to(tl.int64)
    length = tl.load(last + segment).to(tl.int32) - begin.to(tl.int32)
    start = tl.program_id(0) * QUERIES
    if start < length:
        i, d = start + tl.arange(0, QUERIES), tl.arange(0, WIDTH)
        rows = begin + i
        is_query, wide = i < length, d < DIM
        at = q + rows[:, None] * q_row + head * q_head + d[None, :]
        x = tl.load(at, mask=is_query[:, None] & wide[None, :], other=0.0)
        weight = tl.zeros((QUERIES,), tl.float32)
        if BIASED:
            weight = tl.load(gate + rows * heads + head, mask=is_query, other=0.0) * 1.4426950408889634  # log2 e
        top = tl.full((QUERIES,), float("-inf"), tl.float32)
        total = tl.zeros((QUERIES,), tl.float32)
        mean = tl.zeros((QUERIES, WIDTH), tl.float32)
        stop = length
        if CAUSAL:
            stop = tl.minimum(length, start + QUERIES)
        for place in range(0, LOOP if LOOP else stop, KEYS):
            j = place + tl.arange(0, KEYS)
            seen = j < stop
            there = (begin + j)[:, None] * k_row + (head // GROUP) * k_head + d[None, :]
            keys = tl.load(k + there, mask=seen[:, None] & wide[None, :], other=0.0)
            scores = tl.dot(x, tl.trans(keys), input_precision="ieee") * scale
            if BIASED:
                column = offsets // 2 + j[None, :] - i[:, None]
                inside = seen[None, :] & is_query[:, None]
                scores += weight[:, None] * tl.load(by_offset + head * offsets + column, mask=inside, other=0.0)
            allowed = seen[None, :]
            if CAUSAL:
                allowed = allowed & (j[None, :] <= i[:, None])
            scores = tl.where(allowed, scores, float("-inf"))
            higher = tl.maximum(top, tl.max(scores, 1))
            shrink = tl.exp2(top - higher)
            shares = tl.exp2(scores - higher[:, None])
            there = (begin + j)[:, None] * v_row + (head // GROUP) * v_head + d[None, :]
            values = tl.load(v + there, mask=seen[:, None] & wide[None, :], other=0.0)
            total = total * shrink + tl.sum(shares, 1)
            mean = tl.dot(shares.to(values.dtype), values, mean * shrink[:, None], input_precision="ieee")
            top = higher
        at = out + (rows[:, None] * heads + head) * DIM + d[None, :]
        result = mean / total[:, None]
        tl.store(at, result.to(out.dtype.element_ty), mask=is_query[:, None] & wide[None, :])
