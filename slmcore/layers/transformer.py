"""Decoder-only transformer of language models: Mistral's, and the variants of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, silu

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.attention import Attention
from slmcore.layers.cache import KVCache, Slots
from slmcore.layers.fast import mistral, switch
from slmcore.layers.int8 import together
from slmcore.layers.positions import Positions, Rotary, Turn
from slmcore.layers.precision import RMSNorm

__all__ = ["MISTRAL", "FeedForward", "Form", "Perceptron", "PostNormBlock", "Transformer", "TransformerConfig"]

# Present in some published files, without a meaning.
_IGNORED = {"max_batch_size"}
_FEW = 4
"""Tokens of a sequence up to which a pass over its cache is a step of decoding."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModelConfig, describes="a transformer"):
    """Sizes of a Mistral-style transformer (Jiang et al. 2023, arXiv 2310.06825, table 1)."""

    dim: int
    """Width of the residual stream."""
    n_layers: int
    head_dim: int
    """Width of one head; even."""
    hidden_dim: int
    """Width of the feed-forward layer."""
    n_heads: int
    n_kv_heads: int
    """Heads of keys and values; divides `n_heads`."""
    vocab_size: int
    norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    dropout: float = 0.0
    """Dropout probability in training."""
    output_bias: bool = False
    """Whether the output head has a bias (ELLA-V's has)."""

    def __post_init__(self) -> None:
        for name in ("dim", "n_layers", "head_dim", "hidden_dim", "n_heads", "n_kv_heads", "vocab_size"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        if self.n_heads % self.n_kv_heads:
            raise ValueError(must("n_kv_heads", f"a divisor of n_heads ({self.n_heads})", self.n_kv_heads))
        if self.head_dim % 2:
            raise ValueError(must("head_dim", "even, for rotary pairs", self.head_dim))

    @classmethod
    def from_published(cls, args: Mapping[str, Any], **more: Any) -> TransformerConfig:
        """Return the config of a published checkpoint's `model_args`. Raises CheckpointError as `from_dict`."""
        return cls.from_dict({**{name: value for name, value in args.items() if name not in _IGNORED}, **more})


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x) (Shazeer 2020, arXiv 2002.05202, eq. 6)."""

    read_alike = ("w1", "w3")

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden_dim, bias=False)
        self.w2 = nn.Linear(hidden_dim, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to (..., dim)."""
        gate, value = together(self, x)
        return self.w2(silu(gate) * value)


class Perceptron(nn.Module):
    """Two linear layers with biases around an activation: w2(activation(w1 x))."""

    def __init__(self, dim: int, hidden_dim: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.w1 = nn.Linear(dim, hidden_dim)
        self.w2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to (..., dim)."""
        return self.w2(self.activation(self.w1(x)))


def _rotary(config: TransformerConfig) -> Positions:
    return Rotary(config.head_dim, config.rope_theta)


class Block(nn.Module):
    """One pre-norm layer."""

    def __init__(self, config: TransformerConfig, form: Form) -> None:
        super().__init__()
        c = config
        self.dropout = c.dropout
        self.attention = Attention(c.dim, c.n_heads, c.n_kv_heads, c.head_dim, c.dropout, form.attention_bias)
        self.feed_forward = form.feed_forward(c.dim, c.hidden_dim)
        self.attention_norm = form.norm(c.dim, c.norm_eps)
        self.ffn_norm = form.norm(c.dim, c.norm_eps)

    def forward(self, x: Tensor, turn: Turn, slots: Slots | None, layer: int) -> Tensor:
        """(B, T, dim) to (B, T, dim)."""
        x = x + self._drop(self.attention(self.attention_norm(x), turn, slots, layer))
        return x + self._drop(self.feed_forward(self.ffn_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training) if self.dropout else x


class PostNormBlock(Block):
    """One post-norm layer (Vaswani et al. 2017, arXiv 1706.03762, section 3.1)."""

    def forward(self, x: Tensor, turn: Turn, slots: Slots | None, layer: int) -> Tensor:
        """(B, T, dim) to (B, T, dim)."""
        x = self.attention_norm(x + self._drop(self.attention(x, turn, slots, layer)))
        return self.ffn_norm(x + self._drop(self.feed_forward(x)))


@dataclass(frozen=True, kw_only=True)
class Form:
    """Components of a transformer; the defaults are Mistral's."""

    block: Callable[[TransformerConfig, Form], nn.Module] = Block
    """A layer."""
    norm: Callable[[int, float], nn.Module] = RMSNorm
    """Norm of each part of a layer, from a width and an epsilon."""
    final_norm: Callable[[int, float], nn.Module] = RMSNorm
    """Norm after the last layer, from the same."""
    feed_forward: Callable[[int, int], nn.Module] = FeedForward
    """Feed-forward part of a layer, from the widths outside and inside."""
    positions: Callable[[TransformerConfig], Positions] = _rotary
    attention_bias: bool = False
    """Whether the linear layers of attention have biases."""


MISTRAL = Form()
"""RMS norm, SwiGLU, rotary positions and no biases (Jiang et al. 2023, arXiv 2310.06825)."""


class Transformer(nn.Module):
    """Token ids to logits. Right-padded batches need no mask: nothing after a sequence's end reaches it."""

    def __init__(self, config: TransformerConfig, form: Form = MISTRAL) -> None:
        super().__init__()
        self.config, self.form = config, form
        self.positions = form.positions(config)
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(form.block(config, form) for _ in range(config.n_layers))
        self.norm = form.final_norm(config.dim, config.norm_eps)
        self.output = nn.Linear(config.dim, config.vocab_size, bias=config.output_bias)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, vocab_size) of whole sequences ids (B, T), int64, each from position 0."""
        return self.output(self.hidden(ids))

    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, cache: KVCache | None = None, limit: int | None = None
    ) -> Tensor:
        """Return the hidden states before the output head, (B, T, dim).

        ids (B, T) int64 at `positions` (B, T), 0 to T - 1 by default. With a `cache` they attend to its slots up to
        their own position and are written to it; no position is >= `limit`, by default the cache's capacity.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        if cache is not None and ids.shape[1] <= _FEW and self.fused(ids.device):
            return mistral.step(self, ids, positions, cache)
        x = self.positions.embedded(self.tok_embeddings(ids), positions)
        turn = self.positions.turn(positions, torch.promote_types(x.dtype, torch.float32))
        slots = None if cache is None else cache.at(positions, limit or cache.capacity)
        for index, layer in enumerate(self.layers):
            x = layer(x, turn, slots, index)
        return self.norm(x)

    def fused(self, device: torch.device) -> bool:
        """Return whether `slmcore.layers.fast.mistral` computes it: the form is Mistral's, and a GPU's path wanted."""
        plain: Any = self.layers[0]
        return (
            switch.infers(device)
            and not self.training
            and self.form == MISTRAL
            and type(plain.attention.wq) is nn.Linear
        )

    def cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for `batch` sequences of up to `capacity` positions, on the model's device."""
        c, weight = self.config, self.tok_embeddings.weight
        return KVCache.empty(c.n_layers, batch, c.n_kv_heads, capacity, c.head_dim, weight.device, weight.dtype)
