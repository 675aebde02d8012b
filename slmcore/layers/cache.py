"""Static cache of keys and values: slot = absolute position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KVCache", "Slots"]


@dataclass(frozen=True)
class KVCache:
    """Keys and values of each layer, (B, kv heads, capacity, head_dim): tensors of their own, written in place.

    It is zero-initialised: a NaN in a masked slot would leak through 0 x NaN.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @classmethod
    def empty(
        cls, layers: int, batch: int, heads: int, capacity: int, head_dim: int, device: torch.device, dtype: torch.dtype
    ) -> KVCache:
        """Allocate for `batch` sequences of `capacity` positions. Raises a MemoryError that says how much is needed."""
        shape = (batch, heads, capacity, head_dim)
        try:
            made = tuple(torch.zeros(shape, device=device, dtype=dtype) for _ in range(2 * layers))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            gigabytes = 2 * layers * torch.Size(shape).numel() * dtype.itemsize / 1e9
            raise MemoryError(
                f"The cache for {batch} sequences of {capacity} positions needs {gigabytes:.1f} GB on {device}, "
                "more than is free. Decode fewer sequences at once, or shorter ones."
            ) from error
        return cls(made[:layers], made[layers:])

    @property
    def capacity(self) -> int:
        """Positions per sequence."""
        return self.keys[0].shape[2]

    @property
    def device(self) -> torch.device:
        """Device of keys and values."""
        return self.keys[0].device

    def select(self, rows: Tensor) -> KVCache:
        """Return the cache of some of the sequences."""
        return KVCache(tuple(x[rows] for x in self.keys), tuple(x[rows] for x in self.values))

    def first(self, count: int) -> KVCache:
        """Return the cache of the first `count` sequences, in the same memory."""
        return KVCache(tuple(x[:count] for x in self.keys), tuple(x[:count] for x in self.values))

    def compact(self, rows: Tensor) -> None:
        """Move the sequences `rows`, in ascending order, to the front."""
        for x in (*self.keys, *self.values):
            x[: len(rows)] = x[rows]

    def at(self, positions: Tensor, limit: int) -> Slots:
        """Return the slots for tokens at `positions` (B, T), none of which is >= `limit`."""
        return Slots(self, positions, limit)


class Slots:
    """View of a cache in one forward pass: the slots to write to, and the mask of each query."""

    def __init__(self, cache: KVCache, positions: Tensor, limit: int) -> None:
        self._cache, self._limit = cache, limit
        batch = torch.arange(len(positions), device=positions.device)[:, None]
        self._index = (batch[:, :, None], torch.arange(cache.keys[0].shape[1], device=positions.device)[:, None])
        self._positions = positions[:, None, :]
        reach = torch.arange(limit, device=positions.device)
        self.mask = reach <= positions[:, None, :, None]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write k, v (B, kv heads, T, head_dim) to their slots; return all keys and values up to the limit."""
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        index = (*self._index, self._positions)
        keys.index_put_(index, k)
        values.index_put_(index, v)
        return keys[:, :, : self._limit], values[:, :, : self._limit]
