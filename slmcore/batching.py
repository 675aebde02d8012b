"""Like lengths side by side: batches of many sequences or wavs at little more than the cost of what is in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

__all__ = ["batches", "by_length"]


def batches(lengths: Sequence[int], budget: float) -> Iterator[list[int]]:
    """Indices of all items, shortest first, in batches that fill at most `budget` with padding, or of one item."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def by_length(items: Sequence[Tensor], process: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Return what `process` gives for each item (..., T), stacked (n, ..., T) with those of the same length only.

    For models to which padding would be audible: each item gets what it gets alone.
    """
    lengths: dict[int, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        lengths[item.shape[-1]].append(index)
    found: dict[int, Tensor] = {}
    for members in lengths.values():
        found |= zip(members, process(torch.stack([items[i] for i in members])), strict=True)
    return [found[i] for i in range(len(items))]
