"""EMA codebook update: code vectors as running means of their assigned vectors (van den Oord et al., 1711.00937).

Published residual codecs initialise and revive codes without their running sums, so that all vectors shrink at first
and dead codes stay dead; here both set the sums too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.errors import must

__all__ = ["RunningMeans", "lloyd"]


@torch.no_grad()
def lloyd(vectors: Tensor, means: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the k-means (K, D) of vectors (N, D) after Lloyd's iterations from `means`, and their counts (K,).

    Ties go to the first mean; a mean without vectors stays. The counts, int64, are those of the last assignment.
    Source: the start of EnCodec's codebooks (arXiv 2210.13438, section 3.2).
    """
    if iterations < 1:
        raise ValueError(must("iterations", "a whole number >= 1", iterations))
    counts = torch.zeros(len(means), dtype=torch.int64, device=means.device)
    for _ in range(iterations):
        distances = torch.addmm(means.square().sum(1), vectors, means.T, alpha=-2)
        chosen = distances.argmin(1)
        counts = torch.bincount(chosen, minlength=len(means))
        sums = torch.zeros_like(means).index_add_(0, chosen, vectors)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    return means, counts


class RunningMeans(nn.Module):
    """Running counts and sums of a codebook (K, D), which `update` changes in place.

    With `smoothing` the counts are Laplace-smoothed before the sums are divided by them. On several devices a subclass
    says how values are added over them (`over_all`) and taken from the first (`from_first`).
    """

    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, size: int, dimension: int, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", torch.zeros(size, dimension))
        self.register_buffer("started", torch.tensor(False))

    def over_all(self, x: Tensor) -> Tensor:
        """Return the sum of `x` over all devices; here there is one."""
        return x

    def from_first(self, x: Tensor) -> Tensor:
        """Return the `x` of the first device; here there is one."""
        return x

    @torch.no_grad()
    def start_from(self, embed: Tensor, vectors: Tensor, draw: torch.Generator, iterations: int = 50) -> None:
        """Set `embed` (K, D) to the k-means of vectors (N, D), from K of them drawn at random, repeated if N < K.

        A code's count is its number of vectors, at least one, so that its vector does not jump at the first update.
        """
        vectors = vectors.float()
        order = torch.randperm(len(vectors), generator=draw).to(vectors.device)
        first = vectors[order[torch.arange(len(embed), device=order.device) % len(order)]]
        means, counts = lloyd(vectors, first, iterations)
        means, counts = self.from_first(means), self.from_first(counts)
        embed.copy_(means)
        self.resume(embed, counts.clamp(min=1).float())

    @torch.no_grad()
    def resume(self, embed: Tensor, counts: Tensor | None = None) -> None:
        """Adopt a codebook (K, D) unchanged, its codes with `counts` (K,), or a count of one each."""
        self.counts.copy_(torch.ones_like(self.counts) if counts is None else counts)
        self.sums.copy_(embed * self.counts[:, None])
        self.started.fill_(True)

    @torch.no_grad()
    def update(
        self,
        embed: Tensor,
        latents: Tensor,
        codes: Tensor,
        decay: float,
        revive_below: float = 0.0,
        draw: torch.Generator | None = None,
    ) -> None:
        """Update the statistics by latents (B, D, T) with codes (B, T), and `embed` (K, D) in place.

        Codes whose count falls below `revive_below` times the mean are replaced by random latents of the batch and
        given the mean count.
        """
        seen, chosen = latents.detach().mT.flatten(0, 1).float(), codes.flatten()
        self.count(codes, decay)
        sums = self.over_all(torch.zeros_like(self.sums).index_add_(0, chosen, seen))
        self.sums.lerp_(sums, 1 - decay)
        mean = self.counts.mean()
        # Devices may have seen unequal numbers of latents; the first one's count.
        most = int(self.from_first(torch.tensor(len(seen), device=seen.device)))
        dead = torch.nonzero(self.counts < revive_below * mean).flatten()[:most]
        replacements = seen[torch.randperm(len(seen), generator=draw)[: len(dead)].to(seen.device)]
        fresh = torch.zeros_like(self.sums[dead])
        fresh[: len(replacements)] = replacements
        fresh = self.from_first(fresh)
        self.counts[dead] = mean
        self.sums[dead] = fresh * mean
        embed.copy_(self.sums / self._divisors().unsqueeze(1))

    @torch.no_grad()
    def count(self, codes: Tensor, decay: float) -> None:
        """Update the running counts by codes (B, T), also for a frozen codebook."""
        chosen = torch.bincount(codes.flatten(), minlength=len(self.counts)).float()
        self.counts.lerp_(self.over_all(chosen), 1 - decay)

    def use(self, codes: Tensor) -> dict[str, Tensor]:
        """Return how many codes are in use (running counts of a tenth of the mean or more), and their perplexity.

        `batch_codes` is the number of different codes in codes (B, T).
        """
        share = self.counts / self.counts.sum()
        batch = torch.bincount(codes.flatten(), minlength=1)
        return {
            "used": (share * len(share) >= 0.1).sum().float(),
            "perplexity": torch.special.entr(share).sum().exp(),
            "batch_codes": (batch > 0).sum().float(),
        }

    def _divisors(self) -> Tensor:
        if not self.smoothing:
            return self.counts
        total = self.counts.sum()
        return (self.counts + self.smoothing) / (total + len(self.counts) * self.smoothing) * total
