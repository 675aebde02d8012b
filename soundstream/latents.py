"""Statistics of a codec's latents, and their normalisation for a diffusion model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.layers.precision import Float32, widened

__all__ = ["LatentReport", "LatentScale", "LatentStatistics"]


@dataclass(frozen=True, eq=False)
class LatentReport:
    """Statistics of latents over a set of recordings."""

    frames: int
    mean: Tensor
    """Mean of each channel, float64 (dimension,)."""
    deviation: Tensor
    """Standard deviation of each channel, float64 (dimension,)."""
    effective_rank: float
    """exp of the entropy of the normalised eigenvalues of the channels' correlation, 1 to dimension."""
    lag_1: float
    """Correlation of a channel with itself one frame later, mean over the channels."""
    largest: float
    """Largest magnitude after normalising."""


class LatentStatistics:
    """Running sums over latents in float64, in the memory of one batch."""

    def __init__(self, dimension: int) -> None:
        self.frames = self._pairs = 0
        self._sum = torch.zeros(dimension, dtype=torch.float64)
        self._lowest, self._highest = self._sum + torch.inf, self._sum - torch.inf
        self._products = torch.zeros(dimension, dimension, dtype=torch.float64)
        self._lagged = torch.zeros(4, dimension, dtype=torch.float64)

    def add(self, latents: Tensor) -> None:
        """Add the latents (dimension, frames) of a recording; ValueError for another shape or non-finite values."""
        if latents.ndim != 2 or len(latents) != len(self._sum):
            found = f"a tensor of {tuple(latents.shape)}"
            raise ValueError(must("latents", f"({len(self._sum)}, frames)", found))
        if not bool(torch.isfinite(latents).all()):
            raise ValueError(must("latents", "finite", "a tensor with values that are not"))
        x = latents.detach().cpu().double()
        if not x.shape[1]:
            return
        self.frames += x.shape[1]
        self._sum += x.sum(1)
        self._products += x @ x.T
        self._lowest, self._highest = self._lowest.minimum(x.amin(1)), self._highest.maximum(x.amax(1))
        before, after = x[:, :-1], x[:, 1:]
        self._pairs += before.shape[1]
        self._lagged += torch.stack([before.sum(1), after.sum(1), (before * after).sum(1), before.square().sum(1)])

    def report(self) -> LatentReport:
        """Return the statistics; a ValueError for fewer than two frames."""
        if self.frames < 2:
            raise ValueError(must("latents", "of two frames or more", f"of {self.frames}"))
        mean = self._sum / self.frames
        covariance = self._products / self.frames - torch.outer(mean, mean)
        deviation = covariance.diagonal().clamp(min=0).sqrt()
        scale = deviation.clamp(min=1e-12)
        eigenvalues = torch.linalg.eigvalsh(covariance / torch.outer(scale, scale)).clamp(min=0)
        shares = eigenvalues / eigenvalues.sum().clamp(min=1e-12)
        extent = torch.maximum((self._highest - mean).abs(), (self._lowest - mean).abs()) / scale
        return LatentReport(
            frames=self.frames,
            mean=mean,
            deviation=deviation,
            effective_rank=float(torch.special.entr(shares).sum().exp()),
            lag_1=self._lag(),
            largest=float(extent.max()),
        )

    def _lag(self) -> float:
        if not self._pairs:
            return 0.0
        before, after, products, squares = self._lagged / self._pairs
        variance = (squares - before.square()).clamp(min=1e-24)
        return float(((products - before * after) / variance).mean())


class LatentScale(Float32):
    """Mean and standard deviation of each channel of a codec's latents, kept with its weights in float32."""

    mean: Tensor
    deviation: Tensor
    frames: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))
        self.register_buffer("frames", torch.zeros((), dtype=torch.int64))

    @property
    def known(self) -> bool:
        """Whether they have been measured."""
        return bool(self.frames > 0)

    def set(self, report: LatentReport) -> None:
        """Take the statistics of a set of recordings; a channel that does not vary is not scaled."""
        deviation = torch.where(report.deviation > 1e-12, report.deviation, torch.ones_like(report.deviation))
        self.mean.copy_(report.mean)
        self.deviation.copy_(deviation)
        self.frames.fill_(report.frames)

    def normalise(self, latents: Tensor) -> Tensor:
        """Return latents (B, dimension, frames) with mean 0 and deviation 1 in each channel, float32."""
        self._check()
        return (widened(latents) - self.mean[:, None]) / self.deviation[:, None]

    def denormalise(self, latents: Tensor) -> Tensor:
        """Return the inverse of `normalise`, float32."""
        self._check()
        return widened(latents) * self.deviation[:, None] + self.mean[:, None]

    def _check(self) -> None:
        if not self.known:
            remedy = "Measure them with `measure_latents(wavs, sr)`, or use `encode_latents` and `decode_latents`."
            raise ValueError(must("codec", "one with statistics of its latents", "one without", remedy))
