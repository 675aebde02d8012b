"""Normalisation of feature arguments to a list of utterances."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from slmcore.checks import described
from slmcore.errors import must

__all__ = ["is_single", "utterances"]


def is_single(features: Tensor | Sequence[Tensor]) -> bool:
    """Whether `features` is one utterance (T, D) rather than a batch."""
    return isinstance(features, Tensor) and features.ndim == 2


def utterances(features: Tensor | Sequence[Tensor], lengths: Tensor | Sequence[int] | None = None) -> list[Tensor]:
    """Return a list of (T_i, D) from (T, D), a list of (T_i, D), or padded (B, T, D) with `lengths` (B,) in frames.

    Raises TypeError or ValueError for anything else; the values are not checked.
    """
    if isinstance(features, (list, tuple)) or is_single(features):
        if lengths is not None:
            raise ValueError(must("lengths", "None unless features are padded (B, T, D)", lengths))
        if len(features) == 0:
            raise ValueError(must("features", "at least one utterance of at least one frame", described(features)))
        return [features] if isinstance(features, Tensor) else list(features)
    if not isinstance(features, Tensor):
        raise TypeError(must("features", "a tensor or a list of tensors", features))
    if features.ndim != 3 or len(features) == 0:
        raise ValueError(must("features", "a tensor (T, D) or (B, T, D), or a list of (T, D)", described(features)))
    return _unpadded(features, lengths)


def _unpadded(features: Tensor, lengths: Tensor | Sequence[int] | None) -> list[Tensor]:
    frames = features.shape[1]
    if lengths is None:
        return list(features)
    counts = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    if len(counts) != len(features) or not all(1 <= n <= frames for n in counts):
        raise ValueError(must("lengths", f"{len(features)} numbers of frames in 1..{frames}", counts))
    return [x[:n] for x, n in zip(features, counts, strict=True)]
