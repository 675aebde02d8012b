"""Discriminators for adversarial training, and their losses.

Multi-period as in HiFi-GAN (Kong et al., arXiv 2010.05646), complex multi-resolution STFT as in EnCodec (Défossez et
al., arXiv 2210.13438), hinge losses and feature matching.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

__all__ = [
    "PERIODS",
    "WINDOWS",
    "Discriminators",
    "LayerOutputs",
    "discriminator_loss",
    "feature_matching_loss",
    "generator_loss",
]

PERIODS = (2, 3, 5, 7, 11)
"""Periods of the multi-period discriminators, samples."""
WINDOWS = (2048, 1024, 512)
"""Window lengths of the STFT discriminators, samples."""

LayerOutputs = list[list[Tensor]]
"""For each discriminator the outputs of its layers, the scores last: high for real audio."""

_SLOPE = 0.1


class Discriminators(nn.Module):
    """Multi-period and STFT discriminators; `width` is the number of channels of their first layers."""

    def __init__(self, width: int, periods: Sequence[int] = PERIODS, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        by_period = [PeriodDiscriminator(period, width) for period in periods]
        # The name is that of the state in checkpoints of earlier versions.
        self.judges = nn.ModuleList([*by_period, *(STFTDiscriminator(n, width) for n in windows)])

    def forward(self, wav: Tensor) -> LayerOutputs:
        """Return the layer outputs of each discriminator for waveforms (B, samples) above half the longest window."""
        return [discriminator(wav) for discriminator in self.judges]


class PeriodDiscriminator(nn.Module):
    """Discriminator of the waveform folded to rows of `period` samples."""

    def __init__(self, period: int, width: int) -> None:
        super().__init__()
        self.period = period
        widths = [1, width, 4 * width, 16 * width, 32 * width, 32 * width]
        steps = [3, 3, 3, 3, 1]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (step, 1), (2, 0)))
            for a, b, step in zip(widths[:-1], widths[1:], steps, strict=True)
        )
        self.out = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> list[Tensor]:
        """(B, samples) -> the layers' outputs (B, channels, T, period)."""
        padded = F.pad(wav.unsqueeze(1), (0, -wav.shape[1] % self.period), mode="reflect")
        return _through(self.layers, self.out, padded.unflatten(2, (-1, self.period)))


class STFTDiscriminator(nn.Module):
    """Discriminator of the complex spectrum, its real and imaginary parts as two channels."""

    def __init__(self, n_fft: int, width: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        # Time first: a layer sees ever more of it, at every second frequency of the layer before.
        first = nn.Conv2d(2, width, (3, 9), padding=(1, 4))
        wider = [nn.Conv2d(width, width, (3, 9), (1, 2), (d, 4), dilation=(d, 1)) for d in (1, 2, 4)]
        self.layers = nn.ModuleList(map(weight_norm, [first, *wider, nn.Conv2d(width, width, 3, padding=1)]))
        self.out = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> list[Tensor]:
        """(B, samples) -> the layers' outputs (B, channels, T, frequencies)."""
        return _through(self.layers, self.out, self.spectrum(wav))

    def spectrum(self, wav: Tensor) -> Tensor:
        """Return the STFT of (B, samples) as (B, 2, T, n_fft / 2 + 1); white noise of power one has power one."""
        window = self.get_buffer("window")
        with torch.autocast(wav.device.type, enabled=False):
            stft = torch.stft(wav.float(), self.n_fft, self.n_fft // 4, window=window, return_complex=True)
            return torch.view_as_real(stft / window.norm()).permute(0, 3, 2, 1)


def discriminator_loss(real: LayerOutputs, generated: LayerOutputs) -> Tensor:
    """Mean hinge loss of scores below 1 for real and above -1 for generated audio."""
    pairs = zip(real, generated, strict=True)
    losses = [F.relu(1 - a[-1]).mean() + F.relu(1 + b[-1]).mean() for a, b in pairs]
    return torch.stack(losses).mean()


def generator_loss(generated: LayerOutputs) -> Tensor:
    """Mean hinge loss of the scores of generated audio below 1."""
    return torch.stack([F.relu(1 - outputs[-1]).mean() for outputs in generated]).mean()


def feature_matching_loss(real: LayerOutputs, generated: LayerOutputs) -> Tensor:
    """Mean absolute difference of the layer outputs, relative to their mean magnitude for real audio."""
    pairs = [(a.detach(), b) for x, y in zip(real, generated, strict=True) for a, b in zip(x[:-1], y[:-1], strict=True)]
    return torch.stack([(a - b).abs().mean() / a.abs().mean().clamp(min=1e-6) for a, b in pairs]).mean()


def _through(layers: nn.ModuleList, out: nn.Module, x: Tensor) -> list[Tensor]:
    outputs: list[Tensor] = []
    for layer in layers:
        x = F.leaky_relu(layer(x), _SLOPE)
        outputs.append(x)
    return [*outputs, out(x)]
