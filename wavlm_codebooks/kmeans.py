"""k-means in torch: k-means++ (Arthur and Vassilvitskii, 2007) and Lloyd's iterations, in blocks of bounded memory."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["assign", "fit"]

logger = logging.getLogger(__name__)
_BLOCK = 1 << 14


def fit(x: Tensor, k: int, *, iterations: int = 300, tolerance: float = 1e-6, trials: int = 1, seed: int = 7) -> Tensor:
    """Codebook of `k` codes for the vectors `x` (n, dim): float32 (k, dim), on the device of `x`.

    At most `iterations` rounds of Lloyd, fewer when the inertia falls by less than `tolerance` of itself; the best of
    `trials` starts. A code that loses all its vectors moves to the one that lies farthest from its code. The same
    `seed` gives the same codebook. Raises ValueError for k outside 1..n and for values that are not finite.
    """
    if x.ndim != 2 or not 1 <= k <= len(x):
        raise ValueError(must("k", f"from 1 to the number of vectors of an (n, dim) tensor, here {tuple(x.shape)}", k))
    if not torch.isfinite(x).all():
        raise ValueError(must("x", "finite", "a tensor with NaN or inf"))
    # Centred, the squares lose less to rounding.
    mean = x.float().mean(0)
    centred = x.float() - mean
    runs = [_lloyd(centred, k, iterations, tolerance, seed + trial) for trial in range(trials)]
    return min(runs, key=lambda run: run[1])[0] + mean


def assign(x: Tensor, codebook: Tensor) -> Tensor:
    """Number of the nearest code of each vector: (n, dim), (k, dim) -> int64 (n,). A tie goes to the lower number."""
    if x.ndim != 2 or codebook.ndim != 2 or x.shape[1] != codebook.shape[1]:
        shown = f"a tensor of {tuple(x.shape)} for a codebook of {tuple(codebook.shape)}"
        raise ValueError(must("x", "of shape (n, dim) with the dim of the codebook", shown))
    mean = codebook.float().mean(0)
    return _nearest(x.float() - mean, codebook.float() - mean)[0]


def _lloyd(x: Tensor, k: int, iterations: int, tolerance: float, seed: int) -> tuple[Tensor, float]:
    codes, last = _plus_plus(x, k, torch.Generator().manual_seed(seed)), math.inf
    for iteration in range(iterations):
        nearest, distance = _nearest(x, codes)
        inertia = float(distance.double().sum())
        logger.debug("iteration %d: inertia %.6g", iteration, inertia)
        if last - inertia <= tolerance * inertia:
            return codes, inertia
        codes, last = _means(x, nearest, distance, codes), inertia
    return codes, float(_nearest(x, codes)[1].double().sum())


def _plus_plus(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Start codes, each drawn with probability proportional to its squared distance from those before.

    Of a few draws the one that lowers the inertia most is taken, as scikit-learn does.
    """
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    distance = _squared(x, x[chosen])[:, 0]
    candidates = 2 + int(math.log(k))
    while len(chosen) < k:
        total = distance.double().cumsum(0)
        drawn = torch.rand(candidates, generator=generator, dtype=torch.float64).to(x.device) * total[-1]
        # Where all vectors are already codes the total is 0, and any will do.
        picks = torch.searchsorted(total, drawn, right=True).clamp(max=len(x) - 1)
        closer = torch.minimum(distance[:, None], _squared(x, x[picks]))
        best = int(closer.double().sum(0).argmin())
        chosen.append(int(picks[best]))
        distance = closer[:, best]
    return x[chosen].clone()


def _means(x: Tensor, nearest: Tensor, distance: Tensor, codes: Tensor) -> Tensor:
    counts = torch.bincount(nearest, minlength=len(codes))
    sums = torch.zeros_like(codes, dtype=torch.float64).index_add_(0, nearest, x.double())
    means = (sums / counts.clamp(min=1)[:, None]).float()
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        means[empty] = x[distance.topk(len(empty)).indices]
    return means


def _nearest(x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Number of the nearest code and squared distance to it, block by block."""
    found = [_squared(block, codes).min(dim=1) for block in x.split(_BLOCK)]
    return torch.cat([f.indices for f in found]), torch.cat([f.values for f in found])


def _squared(x: Tensor, codes: Tensor) -> Tensor:
    """Squared distances (n, k), never below 0."""
    return torch.addmm(codes.square().sum(1), x, codes.T, alpha=-2).add_(x.square().sum(1)[:, None]).clamp_(min=0)
