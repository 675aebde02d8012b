"""EMA codebook of a training run: started by k-means, and the same on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from slmcore.clustering import kmeans
from slmcore.layers.vq_ema import RunningMeans
from slmzoo.training.loop.distributed import all_reduce, broadcast

__all__ = ["EMACodebook"]

_ITERATIONS = 20


class EMACodebook(RunningMeans):
    """Running means whose counts and sums are those of all processes."""

    def over_all(self, x: Tensor) -> Tensor:
        """Return the sum over all processes."""
        return all_reduce(x)

    def from_first(self, x: Tensor) -> Tensor:
        """Return the first process's value."""
        return broadcast(x)

    @torch.no_grad()
    def start(self, embed: Tensor, latents: Tensor, draw: torch.Generator) -> None:
        """Set `embed` (K, D) to the k-means of latents (N, D), N >= K, each code with a count of one."""
        seed = int(torch.randint(1 << 31, (), generator=draw))
        found = kmeans.fit(latents.float(), len(embed), iterations=_ITERATIONS, tolerance=1e-4, seed=seed)
        embed.copy_(broadcast(found))
        self.resume(embed)
