"""Judges of sound for adversarial training: by its periods and by its spectra, with several lengths of each.

Periods as in HiFi-GAN (Kong et al., arXiv 2010.05646), complex spectra as in EnCodec (Défossez et al., arXiv
2210.13438), hinge losses, and the distance of what the judges' layers see in real and in made sound.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["PERIODS", "WINDOWS", "Discriminators", "Judged", "deceiving", "judging", "matching"]

PERIODS = (2, 3, 5, 7, 11)
"""Samples."""
WINDOWS = (2048, 1024, 512)
"""Lengths of the windows in samples."""

Judged = list[list[Tensor]]
"""For each judge what its layers make of a sound, the scores last: high for real."""

_SLOPE = 0.1


class Discriminators(nn.Module):
    """All judges; `width` is the number of channels of their first layers."""

    def __init__(self, width: int, periods: Sequence[int] = PERIODS, windows: Sequence[int] = WINDOWS) -> None:
        super().__init__()
        judges = [*(PeriodJudge(period, width) for period in periods), *(SpectrumJudge(n, width) for n in windows)]
        self.judges = nn.ModuleList(judges)

    def forward(self, wav: Tensor) -> Judged:
        """Waveforms (B, samples), longer than half the longest window, to what each judge makes of them."""
        return [judge(wav) for judge in self.judges]


class PeriodJudge(nn.Module):
    """Sees each `period`-th sample, from all starts, but none between."""

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


class SpectrumJudge(nn.Module):
    """Sees the complex spectrum, its real and imaginary parts as two channels."""

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
        """(B, samples) -> (B, 2, T, n_fft / 2 + 1), of a power of about one for white noise of power one."""
        window = self.get_buffer("window")
        with torch.autocast(wav.device.type, enabled=False):
            made = torch.stft(wav.float(), self.n_fft, self.n_fft // 4, window=window, return_complex=True)
            return torch.view_as_real(made / window.norm()).permute(0, 3, 2, 1)


def judging(real: Judged, made: Judged) -> Tensor:
    """What the judges learn from: the mean hinge loss of scores below 1 for real and above -1 for made sound."""
    losses = [F.relu(1 - a[-1]).mean() + F.relu(1 + b[-1]).mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


def deceiving(made: Judged) -> Tensor:
    """What made sound is to lower: the mean hinge loss of its scores below 1."""
    return torch.stack([F.relu(1 - layers[-1]).mean() for layers in made]).mean()


def matching(real: Judged, made: Judged) -> Tensor:
    """Mean absolute difference of what the layers see, in units of the mean magnitude for real sound."""
    pairs = [(a.detach(), b) for x, y in zip(real, made, strict=True) for a, b in zip(x[:-1], y[:-1], strict=True)]
    return torch.stack([(a - b).abs().mean() / a.abs().mean().clamp(min=1e-6) for a, b in pairs]).mean()


def _through(layers: nn.ModuleList, out: nn.Module, x: Tensor) -> list[Tensor]:
    seen: list[Tensor] = []
    for layer in layers:
        x = F.leaky_relu(layer(x), _SLOPE)
        seen.append(x)
    return [*seen, out(x)]
