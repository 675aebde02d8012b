"""The sizes of a TWIST language model, and the range of its unit tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.functional import gelu

from slmcore.checks import whole
from slmcore.configs import ModelConfig
from slmcore.errors import must
from slmcore.layers.positions import Learned
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.transformer import Form, Perceptron, PostNormBlock, TransformerConfig

__all__ = ["ACTIVATIONS", "ARCHITECTURES", "TwistLMConfig"]

ACTIVATIONS = {"relu": torch.relu, "gelu": gelu}
ARCHITECTURES = ("llama", "opt", "opt-post-norm")
"""RMS norm, SwiGLU and rotary positions; layer norm, an activation and learned positions; the same with the norms
behind the parts of a layer, as OPT-350M has them."""


@dataclass(frozen=True, kw_only=True)
class TwistLMConfig(ModelConfig, describes="a TWIST language model"):
    """Sizes of a text language model whose vocabulary is units: unit u is the token `offset` + u."""

    architecture: str
    """One of `ARCHITECTURES`."""
    vocab_size: int
    """Tokens: special ones and units."""
    dim: int
    """Width of the residual stream."""
    layers: int
    heads: int
    kv_heads: int
    """Heads of keys and values; divides `heads`."""
    head_dim: int
    """Width of one head; even."""
    hidden_dim: int
    """Width of the feed-forward layer."""
    longest: int
    """Most tokens of a sequence."""
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    activation: str = "relu"
    """"relu" or "gelu", of OPT."""
    attention_bias: bool = True
    """Whether the linear layers of attention have biases."""
    num_units: int
    offset: int
    """Token of unit 0."""
    bos: int | None = None
    """BOS token; None without one, as in TWIST's own models."""
    eos: int | None = None
    """EOS token; None without one."""
    dropout: float = 0.0
    """Dropout probability in training."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "dim", "layers", "heads", "kv_heads", "head_dim", "hidden_dim", "longest"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        object.__setattr__(self, "num_units", whole("num_units", self.num_units, 1))
        object.__setattr__(self, "offset", whole("offset", self.offset, 0))
        if self.offset + self.num_units > self.vocab_size:
            needed = f"at most vocab_size - offset ({self.vocab_size - self.offset})"
            raise ValueError(must("num_units", needed, self.num_units))
        for name in ("bos", "eos"):
            token = getattr(self, name)
            if token is not None and not 0 <= whole(name, token, 0) < self.vocab_size:
                raise ValueError(must(name, f"a token from 0 to {self.vocab_size - 1}, or None", token))
        for name, known in (("architecture", ARCHITECTURES), ("activation", tuple(ACTIVATIONS))):
            if getattr(self, name) not in known:
                raise ValueError(must(name, f"one of {', '.join(known)}", getattr(self, name)))

    @property
    def transformer(self) -> TransformerConfig:
        """Sizes of the transformer."""
        return TransformerConfig(
            dim=self.dim,
            n_layers=self.layers,
            head_dim=self.head_dim,
            hidden_dim=self.hidden_dim,
            n_heads=self.heads,
            n_kv_heads=self.kv_heads,
            vocab_size=self.vocab_size,
            norm_eps=self.norm_eps,
            rope_theta=self.rope_theta,
            dropout=self.dropout,
        )

    @property
    def form(self) -> Form:
        """Parts of the transformer."""
        if self.architecture == "llama":
            return Form(attention_bias=self.attention_bias)
        opt = {
            "norm": LayerNorm32,
            "feed_forward": partial(Perceptron, activation=ACTIVATIONS[self.activation]),
            "positions": lambda config: Learned(self.longest, config.dim),
            "attention_bias": self.attention_bias,
        }
        if self.architecture == "opt-post-norm":
            return Form(block=PostNormBlock, final_norm=lambda *_: nn.Identity(), **opt)
        return Form(final_norm=LayerNorm32, **opt)
