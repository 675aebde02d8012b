"""The published Mistral-style transformer in float64, from weights by their published names, a sequence at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

State = dict[str, Tensor]


def logits(state: State, args: dict[str, Any], ids: list[int]) -> Tensor:
    """Logits (n, vocab) of one sequence of ids; `state` in float64."""
    x = state["tok_embeddings.weight"][ids]
    for i in range(args["n_layers"]):
        layer = {name.removeprefix(f"layers.{i}."): w for name, w in state.items() if name.startswith(f"layers.{i}.")}
        x = x + _attention(layer, args, _norm(x, layer["attention_norm.weight"], args))
        x = x + _feed_forward(layer, _norm(x, layer["ffn_norm.weight"], args))
    x = _norm(x, state["norm.weight"], args)
    return x @ state["output.weight"].T + state.get("output.bias", 0)


def _norm(x: Tensor, weight: Tensor, args: dict[str, Any]) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + args["norm_eps"]).sqrt() * weight


def _feed_forward(layer: State, x: Tensor) -> Tensor:
    gate, value = x @ layer["feed_forward.w1.weight"].T, x @ layer["feed_forward.w3.weight"].T
    return (silu(gate) * value) @ layer["feed_forward.w2.weight"].T


def _turned(x: Tensor, theta: float) -> Tensor:
    """Adjacent pairs of the heads' vectors (n, heads, width) as complex numbers, turned by their positions' angles."""
    width = x.shape[2]
    angles = torch.arange(len(x))[:, None] * theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    pairs = torch.view_as_complex(x.reshape(*x.shape[:2], -1, 2))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(2)


def _attention(layer: State, args: dict[str, Any], x: Tensor) -> Tensor:
    n, width, shared = len(x), args["head_dim"], args["n_heads"] // args["n_kv_heads"]
    q, k, v = ((x @ layer[f"attention.{name}.weight"].T).reshape(n, -1, width) for name in ("wq", "wk", "wv"))
    q, k = _turned(q, args["rope_theta"]), _turned(k, args["rope_theta"])
    seen = torch.ones(n, n).tril().bool()
    mixed = []
    for head in range(args["n_heads"]):
        scores = q[:, head] @ k[:, head // shared].T / width**0.5
        mixed.append(scores.masked_fill(~seen, -torch.inf).softmax(1) @ v[:, head // shared])
    return torch.cat(mixed, 1) @ layer["attention.wo.weight"].T
