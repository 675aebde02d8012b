"""Distances of STFT magnitudes at several resolutions, of whole waveforms and of their sub-bands (arXiv 1910.11480)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.pqmf import PQMF

__all__ = ["FULL_BAND", "SUB_BAND", "Resolution", "STFTLoss", "SubBandSTFTLoss"]


class Resolution(NamedTuple):
    """Sizes of an STFT, samples."""

    n_fft: int
    hop: int
    win: int
    """Length of the Hann window, which zeros fill up to `n_fft`."""


FULL_BAND = (Resolution(512, 120, 480), Resolution(1024, 240, 960), Resolution(2048, 300, 1200))
"""Resolutions for whole waveforms."""
SUB_BAND = (Resolution(128, 20, 80), Resolution(256, 40, 120), Resolution(256, 50, 200))
"""Resolutions for sub-bands."""
_FLOOR = 1e-7
"""Smallest power."""


class STFTLoss(nn.Module):
    """Spectral convergence and log-magnitude distance, each the mean over the resolutions.

    Spectral convergence is ||A - B|| / ||B|| with Frobenius norms over the whole batch, B of real audio; the other
    distance is the mean absolute difference of natural logarithms.
    """

    def __init__(self, resolutions: Sequence[Resolution] = FULL_BAND) -> None:
        super().__init__()
        if not resolutions:
            raise ValueError(must("resolutions", "one or more", list(resolutions)))
        self.resolutions = tuple(resolutions)
        for index, each in enumerate(self.resolutions):
            self.register_buffer(f"window{index}", torch.hann_window(each.win), persistent=False)

    @property
    def shortest(self) -> int:
        """Fewest samples that it takes."""
        return max(each.n_fft for each in self.resolutions) // 2 + 1

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) to (spectral convergence, log-magnitude distance), scalars."""
        with torch.autocast(made.device.type, enabled=False):
            found = [self.at(index, made.float(), real.float()) for index in range(len(self.resolutions))]
        convergences, distances = zip(*found, strict=True)
        return torch.stack(convergences).mean(), torch.stack(distances).mean()

    def at(self, index: int, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Return both distances at one resolution."""
        a, b = self._magnitude(index, made), self._magnitude(index, real)
        return (a - b).norm() / b.norm(), F.l1_loss(a.log(), b.log())

    def _magnitude(self, index: int, wav: Tensor) -> Tensor:
        size, window = self.resolutions[index], self.get_buffer(f"window{index}")
        stft = torch.stft(wav, size.n_fft, size.hop, size.win, window, return_complex=True)
        return (stft.real.square() + stft.imag.square()).clamp(min=_FLOOR).sqrt()


class SubBandSTFTLoss(nn.Module):
    """`STFTLoss` of the sub-bands of waveforms, each sub-band an item of the batch."""

    def __init__(self, bands: int = 6, resolutions: Sequence[Resolution] = SUB_BAND) -> None:
        super().__init__()
        self.split = PQMF(bands)
        self.loss = STFTLoss(resolutions)

    @property
    def shortest(self) -> int:
        """Fewest samples that it takes."""
        return self.loss.shortest * self.split.bands

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) to (spectral convergence, log-magnitude distance), scalars."""
        with torch.autocast(made.device.type, enabled=False):
            return self.loss(self.split(made.float()).flatten(0, 1), self.split(real.float()).flatten(0, 1))
