"""Batches of sequences or wavs of similar lengths, so that little is padding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

__all__ = ["batches", "by_length"]


def batches(lengths: Sequence[int], budget: float) -> Iterator[list[int]]:
    """Yield the indices of all items, shortest first, in batches of at most `budget` with padding, or of one item."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def by_length(items: Sequence[Tensor], process: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Return what `process` gives for each item (..., T), stacked (n, ..., T) with those of the same shape only.

    For models whose outputs would depend on padding.
    """
    shapes: dict[torch.Size, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        shapes[item.shape].append(index)
    found: dict[int, Tensor] = {}
    for members in shapes.values():
        found |= zip(members, process(torch.stack([items[i] for i in members])), strict=True)
    return [found[i] for i in range(len(items))]
