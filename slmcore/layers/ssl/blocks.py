"""Pre-norm and post-norm transformer blocks of self-supervised encoders."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.precision import LayerNorm32

__all__ = ["Attention", "PostNormBlock", "PreNormBlock", "split_heads"]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, dim) -> (B, heads, T, dim / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention over all frames."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """`x` (B, T, dim) -> (B, T, dim); `padding` (B, T), True at masked keys."""
        q, k, v = (split_heads(proj(x), self.heads) for proj in (self.q_proj, self.k_proj, self.v_proj))
        seen = None if padding is None else ~padding[:, None, None]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class PreNormBlock(nn.Module):
    """Pre-norm transformer block: x + f(norm(x))."""

    def __init__(self, dim: int, ffn_dim: int, attention: nn.Module) -> None:
        super().__init__()
        self.attention_norm, self.ffn_norm = LayerNorm32(dim), LayerNorm32(dim)
        self.attention = attention
        self.fc1, self.fc2 = nn.Linear(dim, ffn_dim), nn.Linear(ffn_dim, dim)

    def forward(self, x: Tensor, *seen: Tensor | None) -> Tensor:
        """`x` (B, T, dim) -> (B, T, dim); the other arguments are those of the attention."""
        x = x + self.attention(self.attention_norm(x), *seen)
        return x + self.fc2(F.gelu(self.fc1(self.ffn_norm(x))))


class PostNormBlock(PreNormBlock):
    """Post-norm transformer block: norm(x + f(x))."""

    def forward(self, x: Tensor, *seen: Tensor | None) -> Tensor:
        """`x` (B, T, dim) -> (B, T, dim); the other arguments are those of the attention."""
        x = self.attention_norm(x + self.attention(x, *seen))
        return self.ffn_norm(x + self.fc2(F.gelu(self.fc1(x))))
