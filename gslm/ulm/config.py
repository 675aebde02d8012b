"""The sizes of GSLM's unit language model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.functional import gelu

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.positions import Sinusoidal
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.transformer import Form, Perceptron, TransformerConfig

__all__ = ["ACTIVATIONS", "ULMConfig"]

ACTIVATIONS = {"relu": torch.relu, "gelu": gelu}
_FIRST_POSITION = 2
"""Row of the first token in fairseq's table of positions; the rows before it are reserved for padding."""


@dataclass(frozen=True, kw_only=True)
class ULMConfig(ModelConfig, describes="a GSLM language model"):
    """The sizes of fairseq's decoder-only transformer; the defaults are those of GSLM's models."""

    vocab_size: int
    """Tokens: four special ones and the lines of dict.txt."""
    dim: int = 1024
    """Width of the residual stream."""
    layers: int = 12
    heads: int = 16
    hidden_dim: int = 4096
    """Width of the feed-forward layer."""
    activation: str = "relu"
    """"relu" or "gelu"."""
    scale_embedding: bool = True
    """Whether token embeddings are multiplied by the square root of `dim`."""
    final_norm: bool = True
    """Whether the last layer is followed by a norm."""
    begins_with_bos: bool = False
    """Whether sequences begin with <s> instead of </s>."""
    longest: int = 3072
    """Most tokens of a sequence, the first one included."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "dim", "layers", "heads", "hidden_dim", "longest"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        if self.dim % (2 * self.heads):
            raise ValueError(must("dim", f"a multiple of twice the number of heads ({self.heads})", self.dim))
        if self.activation not in ACTIVATIONS:
            raise ValueError(must("activation", f"one of {', '.join(ACTIVATIONS)}", self.activation))

    @property
    def transformer(self) -> TransformerConfig:
        """Sizes of the transformer."""
        return TransformerConfig(
            dim=self.dim,
            n_layers=self.layers,
            head_dim=self.dim // self.heads,
            hidden_dim=self.hidden_dim,
            n_heads=self.heads,
            n_kv_heads=self.heads,
            vocab_size=self.vocab_size,
            norm_eps=1e-5,
        )

    @property
    def form(self) -> Form:
        """Layer norm, an activation, biases, and sinusoidal positions."""
        scale = math.sqrt(self.dim) if self.scale_embedding else 1.0
        return Form(
            norm=LayerNorm32,
            final_norm=LayerNorm32 if self.final_norm else nn.Identity,
            feed_forward=partial(Perceptron, activation=ACTIVATIONS[self.activation]),
            positions=lambda _: Sinusoidal(scale, _FIRST_POSITION),
            attention_bias=True,
        )
