"""Codebooks of a residual quantiser in training: k-means initialisation, EMA updates, and checks for collapse."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.vq import EuclideanCodebook, Quantized
from slmzoo.training.loop.distributed import all_reduce
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.ema_codebook import EMACodebook

__all__ = ["LevelCodebooks"]

_SMOOTHING = 1e-5
_STREAM = 1 << 20
"""First stream of a step's random numbers that is not one of its batches'; level q has the q-th after it."""
_IN_USE = 0.1
"""A code is in use if its share is at least this fraction of an equal share."""
_ALONE = 1.05
"""Perplexity of a level that has but one code in use."""


class LevelCodebooks(nn.Module):
    """Running means and usage of every level of a quantiser, equal on all devices.

    `collect` accumulates the batches of a step, and `update` moves the codebooks at its end, so that the result depends
    neither on the number of devices nor on the batches per device and step. Levels that a step did not use are kept.
    """

    usage: Tensor

    def __init__(self, quantizer: nn.Module) -> None:
        """`quantizer`: a module that returns `Quantized`, with `EuclideanCodebook`s in the order of the levels."""
        super().__init__()
        found = [module for module in quantizer.modules() if isinstance(module, EuclideanCodebook)]
        if not found:
            raise ValueError(must("quantizer", "a module with codebooks", type(quantizer).__name__))
        # A tuple: the codebooks belong to the model.
        self._codebooks = tuple(found)
        size, width = found[0].embed.shape
        self.means = nn.ModuleList(EMACodebook(size, width, _SMOOTHING) for _ in found)
        self.register_buffer("usage", torch.full((len(found), size), 1 / size))
        self._seen: list[tuple[Tensor, Tensor]] = []

    @property
    def started(self) -> bool:
        """Whether every level has codes of its own."""
        return all(bool(means.started) for means in self._means)

    @torch.no_grad()
    def start(self, quantizer: nn.Module, latents: Tensor, draw: torch.Generator) -> None:
        """Set each level to the k-means of the residual of the levels before it, for latents (B, dimension, T)."""
        for level, (codebook, means) in enumerate(zip(self._codebooks, self._means, strict=True)):
            residual = quantizer(latents, level + 1).residuals[level]
            means.start_from(codebook.embed, residual.mT.flatten(0, 1), draw)
            self.usage[level] = means.counts / means.counts.sum()

    @torch.no_grad()
    def resume(self) -> None:
        """Keep the codebooks of the weights, with a count of one for each code."""
        for codebook, means in zip(self._codebooks, self._means, strict=True):
            means.resume(codebook.embed)

    def collect(self, quantized: Quantized, known: Tensor) -> None:
        """Keep the inputs and codes of each level in use, at the frames that `known` (B, T) marks."""
        residuals = quantized.residuals.detach().mT[:, known]
        self._seen.append((residuals, quantized.codes[:, known]))

    @torch.no_grad()
    def update(self, seed: int, step: int, decay: float, revive_below: float) -> None:
        """Move the codebooks by the collected sums and reset these; dead codes are replaced by latents of the batch."""
        if not self._seen:
            return
        residuals, codes = (torch.cat(parts, 1) for parts in zip(*self._seen, strict=True))
        self._seen = []
        for level, (x, chosen) in enumerate(zip(residuals, codes, strict=True)):
            draw = generator(seed, step, _STREAM + level)
            embed, means = self._codebooks[level].embed, self._means[level]
            means.update(embed, x.T[None], chosen[None], decay, revive_below, draw)
            counts = all_reduce(torch.bincount(chosen, minlength=len(embed)).float())
            self.usage[level].lerp_(counts / counts.sum(), 1 - decay)

    def figures(self) -> dict[str, Tensor]:
        """Return `perplexity_N` and `used_N`, the codes in use, for each level N from 1."""
        perplexities = self._perplexities()
        used = (self.usage * self.usage.shape[1] >= _IN_USE).sum(1).float()
        named = {"perplexity": perplexities, "used": used}
        return {f"{name}_{n + 1}": values[n] for name, values in named.items() for n in range(len(values))}

    def collapsed(self, below: float) -> dict[int, float]:
        """Return the perplexity of each started level, from 1, at which it is less than `below` of the codes."""
        least = max(_ALONE, below * self.usage.shape[1])
        found = enumerate(zip(self._perplexities().tolist(), self._means, strict=True))
        return {level + 1: value for level, (value, means) in found if bool(means.started) and value < least}

    def _perplexities(self) -> Tensor:
        return torch.special.entr(self.usage).sum(1).exp()

    @property
    def _means(self) -> list[EMACodebook]:
        return [module for module in self.means if isinstance(module, EMACodebook)]
