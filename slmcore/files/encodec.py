"""EnCodec's key names, shared by the published files of several codecs, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from slmcore.files.checkpoint import fold_weight_norm

__all__ = ["translated"]

_CONV = re.compile(r"(?:\.conv|\.convtr)+\.(weight|bias)$")
_CODEBOOK = re.compile(r"\.vq\.layers\.(\d+)\._codebook\.(\w+)$")
_SMALLEST_USAGE = 1e-5
"""Lower bound of a code's usage in Mimi's implementation."""


def translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under our names, in float32: convolutions without wrappers, weight norm folded.

    Of a codebook only the vectors are kept, which EnCodec stores as such and Mimi as a sum and a count; running
    statistics are dropped.
    """
    ours: dict[str, Tensor] = {}
    for key, value in fold_weight_norm(state).items():
        codebook = _CODEBOOK.search(key)
        if codebook is None:
            ours[_CONV.sub(r".\1", key)] = value.float()
        elif codebook[2] in ("embed", "embedding_sum"):
            ours[_CODEBOOK.sub(r".layers.\1.embed", key)] = _vectors(state, key).float()
    return ours


def _vectors(state: Mapping[str, Tensor], key: str) -> Tensor:
    if key.endswith(".embed"):
        return state[key]
    usage = state[key.removesuffix("embedding_sum") + "cluster_usage"]
    return state[key] / torch.clamp(usage, min=_SMALLEST_USAGE)[:, None]
