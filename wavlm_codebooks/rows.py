"""WavLM's blocks on the frames of a batch as rows: the order of work that a GPU wants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from slmcore.layers.fast.attention import Rows
from slmcore.layers.fast.norms import Norm, normed

__all__ = ["on_rows"]


def on_rows(blocks: Iterable[Any], x: Tensor, by_offset: Tensor, padding: Tensor | None) -> Tensor:
    """Return x (B, T, dim) after pre-norm `blocks`; `padding` (B, T) is True beyond the ends, None: there is none.

    Each sum of the residual stream is made in the pass that norms it, and the position bias, of which `by_offset`
    (heads, 2 T - 1) is all that is kept, where the scores are.
    """
    batch, frames, _ = x.shape
    lengths = None if padding is None else frames - padding.sum(1)
    rows = Rows.padded(batch, frames, lengths, x.device)
    stream, more = x.flatten(0, 1), None
    for block in blocks:
        stream, seen = normed(stream, Norm.of(block.attention_norm), more)
        stream, seen = normed(stream, Norm.of(block.ffn_norm), block.attention.on_rows(seen, rows, by_offset))
        more = block.fc2(F.gelu(block.fc1(seen)))
    return (stream if more is None else stream + more).unflatten(0, (batch, frames))
