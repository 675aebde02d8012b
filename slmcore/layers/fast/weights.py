"""Matrices end to end in memory as one: the weights of linear layers of one input, the utterances of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["joined", "view_of"]


def joined(layers: Sequence[nn.Linear]) -> Tensor:
    """Return the weights (sum of outputs, inputs) of layers without biases, which keep views of them.

    Only the storage changes: names, shapes and values of the layers' weights are the same, in state dicts too. Weights
    that have moved since are made contiguous again.
    """
    weights = [layer.weight for layer in layers]
    whole = view_of(weights)
    return _laid(weights) if whole is None else whole


def view_of(parts: Sequence[Tensor]) -> Tensor | None:
    """Return (sum of n_i, D) of parts (n_i, D) that lie end to end in memory, without a copy; None if they do not."""
    first, last = parts[0].detach(), parts[-1]
    # Addresses from the first to the last: checking the storage of both ends covers the parts between.
    if last.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
        return None
    place, dtype = first.data_ptr(), first.dtype
    for part in parts:
        if part.data_ptr() != place or part.dtype != dtype or not part.is_contiguous():
            return None
        place += part.numel() * dtype.itemsize
    # The stride of a single row may be any, also in a contiguous tensor.
    width = first.shape[1]
    return first.as_strided((sum(map(len, parts)), width), (width, 1), first.storage_offset())


def _laid(weights: Sequence[Tensor]) -> Tensor:
    # Outside of inference mode, whose tensors cannot be trained.
    with torch.inference_mode(False), torch.no_grad():
        whole = torch.cat([weight.detach() for weight in weights])
        for weight, part in zip(weights, whole.split([len(weight) for weight in weights]), strict=True):
            weight.data = part
    return whole
