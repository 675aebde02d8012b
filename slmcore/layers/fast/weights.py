"""Linear layers of one input as a single product, with their weights contiguous in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["joined"]


def joined(layers: Sequence[nn.Linear]) -> Tensor:
    """Return the weights (sum of outputs, inputs) of layers without biases, which keep views of them.

    Only the storage changes: names, shapes and values of the layers' weights are the same, in state dicts too. Weights
    that have moved since are made contiguous again.
    """
    weights = [layer.weight for layer in layers]
    if not _end_to_end(weights):
        _lay(weights)
    first = weights[0].detach()
    return first.as_strided((sum(map(len, weights)), first.shape[1]), first.stride(), first.storage_offset())


def _end_to_end(weights: Sequence[Tensor]) -> bool:
    place = weights[0].data_ptr()
    storage = weights[0].untyped_storage().data_ptr()
    for weight in weights:
        alike = weight.is_contiguous() and weight.untyped_storage().data_ptr() == storage
        if not alike or weight.data_ptr() != place:
            return False
        place += weight.numel() * weight.itemsize
    return True


def _lay(weights: Sequence[Tensor]) -> None:
    # Outside of inference mode, whose tensors cannot be trained.
    with torch.inference_mode(False), torch.no_grad():
        whole = torch.cat([weight.detach() for weight in weights])
        for weight, part in zip(weights, whole.split([len(weight) for weight in weights]), strict=True):
            weight.data = part
