"""Steps of k-means on centred vectors: k-means++ (Arthur and Vassilvitskii, 2007) and one Lloyd iteration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Pass", "nearest", "plus_plus", "revived"]


class Pass:
    """Sums of one pass over the vectors for codes (k, dim), which give the next codes and the current inertia."""

    def __init__(self, codes: Tensor) -> None:
        self.codes = codes
        self._sums = torch.zeros_like(codes, dtype=torch.float64)
        self._counts = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
        self._inertia = torch.zeros((), dtype=torch.float64, device=codes.device)

    def add(self, x: Tensor) -> None:
        """Add vectors (n, dim), few enough for float32 sums to be accurate."""
        chosen, distance = nearest(x, self.codes)
        self._sums += torch.zeros_like(self.codes).index_add_(0, chosen, x)
        self._counts += torch.bincount(chosen, minlength=len(self.codes))
        self._inertia += distance.sum(dtype=torch.float64)

    @property
    def inertia(self) -> float:
        """Sum of the squared distances to the nearest of `codes`."""
        return float(self._inertia)

    def means(self, sample: Tensor) -> Tensor:
        """Return the mean of each code's vectors; a code without any moves to a vector of `sample` far from all."""
        means = (self._sums / self._counts.clamp(min=1)[:, None]).float()
        empty = self._counts == 0
        return revived(means, empty, sample) if empty.any() else means


def revived(codes: Tensor, empty: Tensor, sample: Tensor) -> Tensor:
    """Return `codes` (k, dim) with the `empty` ones (k,) moved to the vectors of `sample` farthest from the others."""
    distance = torch.cat([nearest(x, codes[~empty])[1] for x in sample.split(1 << 14)])
    codes = codes.clone()
    codes[empty] = sample[distance.topk(int(empty.sum())).indices]
    return codes


def nearest(x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of the nearest code of each vector (n, dim), and its squared distance: (n,), (n,)."""
    found = torch.addmm(codes.square().sum(1), x, codes.T, alpha=-2).min(dim=1)
    return found.indices, (found.values + x.square().sum(1)).clamp_(min=0)


def plus_plus(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Draw initial codes from `x`, each with probability proportional to its squared distance from the codes before.

    Of a few candidates the one that lowers the inertia most is taken, as in scikit-learn.
    """
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    squares = x.square().sum(1)
    distance = _squared(x, squares, x[chosen])[0]
    candidates = 2 + int(math.log(k))
    while len(chosen) < k:
        total = distance.cumsum(0, dtype=torch.float64)
        drawn = torch.rand(candidates, generator=generator, dtype=torch.float64).to(x.device) * total[-1]
        # If all vectors are already codes the total is 0, and any of them will do.
        picks = torch.searchsorted(total, drawn, right=True).clamp(max=len(x) - 1)
        closer = torch.minimum(distance, _squared(x, squares, x[picks]))
        best = int(closer.sum(1, dtype=torch.float64).argmin())
        chosen.append(int(picks[best]))
        distance = closer[best]
    return x[chosen].clone()


def _squared(x: Tensor, squares: Tensor, codes: Tensor) -> Tensor:
    """Squared distances (k, n), never below 0."""
    return torch.addmm(squares, codes, x.T, alpha=-2).add_(codes.square().sum(1)[:, None]).clamp_(min=0)
