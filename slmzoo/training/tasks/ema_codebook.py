"""A codebook that follows the running means of the vectors that choose its codes (van den Oord et al., 1711.00937)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.clustering import kmeans
from slmzoo.training.loop.distributed import of_all, of_first

__all__ = ["RunningCodebook"]

_ITERATIONS = 20


class RunningCodebook(nn.Module):
    """Moves a codebook (K, D), in place, to the running means of the latents that chose its codes.

    Several processes move theirs alike: counts and sums are those of all of them.
    """

    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", torch.zeros(size, dimension))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def start(self, embed: Tensor, latents: Tensor, draw: torch.Generator) -> None:
        """Set `embed` (K, D) to the k-means of latents (N, D), N >= K, each code with a count of one."""
        seed = int(torch.randint(1 << 31, (), generator=draw))
        found = kmeans.fit(latents.float(), len(embed), iterations=_ITERATIONS, tolerance=1e-4, seed=seed)
        embed.copy_(of_first(found))
        self.go_on(embed)

    @torch.no_grad()
    def go_on(self, embed: Tensor) -> None:
        """Take a codebook (K, D) as it is, each code with a count of one."""
        self.counts.fill_(1)
        self.sums.copy_(embed)
        self.started.fill_(True)

    @torch.no_grad()
    def update(
        self, embed: Tensor, latents: Tensor, codes: Tensor, decay: float, revive_below: float, draw: torch.Generator
    ) -> None:
        """Take in latents (B, D, T) with codes (B, T); codes that have fallen out of use are put on random latents."""
        seen, chosen = latents.detach().mT.flatten(0, 1).float(), codes.flatten()
        self.count(codes, decay)
        sums = of_all(torch.zeros_like(self.sums).index_add_(0, chosen, seen))
        self.sums.lerp_(sums, 1 - decay)
        mean = self.counts.mean()
        dead = torch.nonzero(self.counts < revive_below * mean).flatten()[: len(seen)]
        fresh = of_first(seen[torch.randperm(len(seen), generator=draw)[: len(dead)].to(seen.device)])
        self.counts[dead] = mean
        self.sums[dead] = fresh * mean
        embed.copy_(self.sums / self.counts.unsqueeze(1))

    @torch.no_grad()
    def count(self, codes: Tensor, decay: float) -> None:
        """Take codes (B, T) into the running counts, those of a codebook that stays as it is too."""
        self.counts.lerp_(of_all(torch.bincount(codes.flatten(), minlength=len(self.counts)).float()), 1 - decay)

    def use(self, codes: Tensor) -> dict[str, Tensor]:
        """How many codes are in use (of the running counts, a tenth of the mean or more), and their perplexity."""
        share = self.counts / self.counts.sum()
        batch = torch.bincount(codes.flatten(), minlength=1)
        return {
            "used": (share * len(share) >= 0.1).sum().float(),
            "perplexity": torch.special.entr(share).sum().exp(),
            "batch_codes": (batch > 0).sum().float(),
        }
