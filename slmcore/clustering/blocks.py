"""Vectors that need not fit in memory: blocks read again in each pass, their mean, and a sample of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["Blocks", "Summary", "Vectors", "summary"]

Vectors = Tensor | Iterable[Tensor | np.ndarray]
"""Vectors (n, dim), or blocks of them (n_i, dim) that can be gone through more than once, e.g. memory-mapped arrays."""

# Distances of a block stay in a CPU's cache; a GPU needs at least this much to be busy.
_CPU_ROWS, _GPU_ROWS = 2048, 1 << 16


class Blocks:
    """Vectors in blocks: float32, on one device, with `mean` subtracted."""

    def __init__(self, x: Vectors, device: torch.device | str | None = None) -> None:
        if not isinstance(x, Tensor) and iter(x) is x:
            raise TypeError(must("x", "a tensor or blocks that can be read more than once", f"a {type(x).__name__}"))
        self._blocks = [x] if isinstance(x, Tensor) else x
        self.device = torch.device(device or (x.device if isinstance(x, Tensor) else "cpu"))
        self.mean: Tensor | float = 0.0

    def __iter__(self) -> Iterator[Tensor]:
        rows = _CPU_ROWS if self.device.type == "cpu" else _GPU_ROWS
        for block in self._blocks:
            for start in range(0, len(block), rows):
                yield self._ready(block[start : start + rows]) - self.mean

    def _ready(self, rows: Tensor | np.ndarray) -> Tensor:
        # A memory-mapped array is read-only, which torch does not have.
        rows = rows if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows))
        if rows.ndim != 2 or not rows.is_floating_point():
            shown = f"a {rows.dtype} tensor of {tuple(rows.shape)}"
            raise ValueError(must("x", "floating-point vectors (n, dim) in every block", shown))
        return rows.to(self.device, torch.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """Statistics of one pass over vectors."""

    count: int
    """Number of vectors."""
    mean: Tensor
    """float32 (dim,)."""
    sample: Tensor
    """Random sample without replacement, or all if there are no more than wanted: float32 (m, dim)."""


def summary(blocks: Blocks, wanted: int, generator: torch.Generator) -> Summary:
    """Return count, mean and `wanted` sampled vectors. Raises ValueError for none, unequal widths, NaN or inf."""
    count, total, kept, keys = 0, None, [], []
    for piece in blocks:
        sums = piece.sum(0, dtype=torch.float64)
        if total is not None and sums.shape != total.shape:
            raise ValueError(must("x", f"of one width, {len(total)} as in the first block", len(sums)))
        if not torch.isfinite(sums).all():
            raise ValueError(must("x", "finite", "a tensor with NaN or inf"))
        count, total = count + len(piece), sums if total is None else total + sums
        kept.append(piece)
        keys.append(torch.rand(len(piece), generator=generator, dtype=torch.float64))
        if sum(map(len, kept)) > 2 * wanted:
            kept, keys = _lowest(kept, keys, wanted)
    if total is None:
        raise ValueError(must("x", "one or more vectors", "empty"))
    return Summary(count=count, mean=(total / count).float(), sample=_lowest(kept, keys, wanted)[0][0])


def _lowest(kept: list[Tensor], keys: list[Tensor], wanted: int) -> tuple[list[Tensor], list[Tensor]]:
    """Reservoir sample: of the vectors seen so far, those with the lowest random keys."""
    rows, drawn = torch.cat(kept), torch.cat(keys)
    chosen = drawn.argsort()[:wanted].sort().values
    return [rows[chosen.to(rows.device)]], [drawn[chosen]]
