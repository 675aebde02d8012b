"""Mistral's layers on rows of tokens for GPUs, with fused products and elementwise operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from slmcore.layers.cache import KVCache
from slmcore.layers.fast.attention import Rows, attend_rows
from slmcore.layers.fast.norms import Norm, normed
from slmcore.layers.fast.products import product
from slmcore.layers.fast.slots import attend_slots, turn
from slmcore.layers.fast.weights import joined

__all__ = ["packed", "step"]


def step(model: Any, ids: Tensor, positions: Tensor, cache: KVCache) -> Tensor:
    """Return the hidden states (B, T, dim) of a few ids (B, T) at `positions` (B, T), and write them to the cache."""
    c = model.config
    places = positions.flatten()

    def attend(layer: int, qkv: Tensor) -> Tensor:
        keys, values = cache.keys[layer], cache.values[layer]
        turn(qkv, places, c.n_heads, c.rope_theta, keys, values)
        return attend_slots(qkv[:, : c.n_heads], keys, values, places)

    return _through(model, ids.flatten(), attend).unflatten(0, ids.shape)


def packed(model: Any, ids: Tensor, positions: Tensor, rows: Rows) -> Tensor:
    """Return the hidden states (N, dim) of sequences laid end to end, ids (N,) at `positions` (N,)."""
    c = model.config

    def attend(layer: int, qkv: Tensor) -> Tensor:
        turn(qkv, positions, c.n_heads, c.rope_theta, None, None)
        q, k, v = qkv.split([c.n_heads, c.n_kv_heads, c.n_kv_heads], 1)
        return attend_rows(q, k, v, rows, causal=True)

    return _through(model, ids, attend)


def _through(model: Any, ids: Tensor, attend: Callable[[int, Tensor], Tensor]) -> Tensor:
    stream, more = model.tok_embeddings(ids), None
    for index, layer in enumerate(model.layers):
        attention, forward = layer.attention, layer.feed_forward
        heads = joined([attention.wq, attention.wk, attention.wv])
        stream, qkv = product(stream, heads, Norm.of(layer.attention_norm), more)
        attended = attend(index, qkv.unflatten(1, (-1, attention.head_dim)))
        more = product(attended.flatten(1), attention.wo.weight)[1]
        gates = joined([forward.w1, forward.w3])
        stream, hidden = product(stream, gates, Norm.of(layer.ffn_norm), more, gate=True)
        more = product(hidden, forward.w2.weight)[1]
    return normed(stream, Norm.of(model.norm), more)[1]
