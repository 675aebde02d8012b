"""Causal self-attention with grouped-query heads, and the choice of the kernel."""

from __future__ import annotations

import functools
import importlib.util
import logging

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from slmcore.layers.cache import Slots
from slmcore.layers.int8 import together
from slmcore.layers.positions import Turn

__all__ = ["Attention", "attend", "xformers_works"]

logger = logging.getLogger(__name__)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Attention of q (B, H, T, D) over k, v (B, G, S, D), G dividing H; causal where `mask` (B, 1, T, S) is None."""
    # What compiles has torch's own kernel, and no break where the other is tried.
    if mask is None and q.is_cuda and not torch.compiler.is_compiling() and xformers_works(q.device):
        return _xformers(q, k, v, dropout)
    grouped = bool(k.shape[1] != q.shape[1])  # torch.jit.trace makes tensors of shapes
    return scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=mask is None, enable_gqa=grouped)


@functools.cache
def xformers_works(device: torch.device) -> bool:
    """Whether xformers is installed and its kernel agrees with torch on `device`, tried once on a small input."""
    if importlib.util.find_spec("xformers") is None:
        return False
    q, k, v = torch.randn(3, 1, 2, 8, 64, device=device, dtype=torch.float16).unbind(0)
    try:
        agrees = torch.allclose(
            _xformers(q, k, v, 0.0), scaled_dot_product_attention(q, k, v, is_causal=True), atol=1e-2
        )
    except Exception as error:  # a broken build may fail in any way
        logger.warning("xformers is installed but does not work here (%r); torch's own attention is used.", error)
        return False
    return agrees


def _xformers(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    import xformers.ops as xops  # pyright: ignore[reportMissingImports]

    repeat = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(repeat, dim=1) for x in (k, v))
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return xops.memory_efficient_attention(q, k, v, attn_bias=xops.LowerTriangularMask(), p=dropout).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head attention whose `n_kv_heads` keys and values serve `n_heads` queries."""

    read_alike = ("wq", "wk", "wv")

    def __init__(self, dim: int, n_heads: int, n_kv_heads: int, head_dim: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.head_dim, self.dropout = head_dim, dropout
        self.wq = nn.Linear(dim, n_heads * head_dim, bias=bias)
        self.wk = nn.Linear(dim, n_kv_heads * head_dim, bias=bias)
        self.wv = nn.Linear(dim, n_kv_heads * head_dim, bias=bias)
        self.wo = nn.Linear(n_heads * head_dim, dim, bias=bias)

    def forward(self, x: Tensor, turn: Turn, slots: Slots | None, layer: int) -> Tensor:
        """(B, T, dim) to (B, T, dim): causal over x alone, or over the cache that `slots` writes to.

        `turn` applies positions to queries and keys, (B, heads, T, head_dim) each.
        """
        heads = (y.unflatten(-1, (-1, self.head_dim)) for y in together(self, x))
        q, k, v = (y.transpose(1, 2) for y in heads)
        q, k = turn(q, k)
        mask = None
        if slots is not None:
            k, v, mask = *slots.extend(layer, k, v), slots.mask
        out = attend(q, k, v, mask, self.dropout if self.training else 0.0)
        return self.wo(out.transpose(1, 2).flatten(-2))
