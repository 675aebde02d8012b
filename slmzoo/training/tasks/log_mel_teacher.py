"""Log-mel teacher of a codec's encoder: principal components of log-mel spectra."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.spectral import Spectrum
from slmzoo.training.loop.distributed import broadcast

__all__ = ["LogMelTeacher"]

_WINDOW, _BANDS = 0.032, 64
_SPECTRA_A_FRAME = 4
_LEAST_VARIANCE = 1e-9
"""Smallest variance of a component relative to the largest; what lies below is rounding."""


class LogMelTeacher(nn.Module):
    """Principal components of the few log-mel spectra of each frame.

    A rotation keeps distances, so that nearby latents sound alike. But k-means then spends most codes on loudness, by
    far the largest component; whitening moves some of them to the finer components, which distinguish words. The
    components have a mean variance of 1.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, sample_rate: int, hop: int, dimension: int, whitening: float = 0.0) -> None:
        """`hop`: samples per frame. `dimension`: components; those beyond the spectra's own are zero.

        `whitening`: the power, 0 to 1, of its standard deviation that a component is divided by.
        """
        super().__init__()
        self.whitening = whitening
        self.spectra_a_frame = math.gcd(hop, _SPECTRA_A_FRAME)
        self.hop = hop // self.spectra_a_frame
        # A window of the hop's parity is centred on its part of the frame.
        width = max(self.hop, int(_WINDOW * sample_rate))
        self.spectrum = Spectrum(sample_rate, width + (width - self.hop) % 2, _BANDS)
        size = self.spectra_a_frame * self.spectrum.bank.shape[1]
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("axes", torch.zeros(size, dimension))

    @torch.no_grad()
    def start(self, wavs: Tensor) -> None:
        """Fit the components to waveforms (N, samples), whole frames of speech."""
        x = self._spectra(wavs).flatten(0, 1).double()
        mean = x.mean(0)
        x -= mean
        variances, axes = (found.flip(-1) for found in torch.linalg.eigh(x.T.cov()))
        scales = variances.clamp_min(_LEAST_VARIANCE * variances[0]).pow(-self.whitening / 2)
        axes = (axes * scales)[:, : self.axes.shape[1]]
        axes = axes / (x @ axes).square().mean().sqrt()
        self.mean.copy_(broadcast(mean.to(self.mean)))
        self.axes.copy_(broadcast(F.pad(axes, (0, self.axes.shape[1] - axes.shape[1])).to(self.axes)))

    @torch.no_grad()
    def forward(self, wav: Tensor) -> Tensor:
        """Waveforms (B, samples), whole frames, to the components (B, dimension, frames)."""
        return ((self._spectra(wav) - self.mean) @ self.axes).mT

    def _spectra(self, wav: Tensor) -> Tensor:
        around = (len(self.spectrum.window) - self.hop) // 2
        mel = self.spectrum(F.pad(wav, (around, around)), self.hop, center=False)[1]
        return self.spectrum.log(mel).unflatten(1, (-1, self.spectra_a_frame)).flatten(2)
