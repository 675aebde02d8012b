"""Like lengths side by side: batches of many sequences or wavs at little more than the cost of what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["batches"]


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
