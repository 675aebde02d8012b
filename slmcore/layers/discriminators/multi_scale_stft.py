"""The multi-scale STFT discriminator of EnCodec (Défossez et al., arXiv 2210.13438, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.discriminators.complex_stft import complex_spectrum
from slmcore.layers.discriminators.normed import WeightNormed
from slmcore.layers.discriminators.outputs import ScaleOutput, through

__all__ = ["STFT_WINDOWS", "MultiScaleSTFTDiscriminator"]

STFT_WINDOWS = (1024, 2048, 512, 256, 128)
"""Windows of the published discriminator, samples, in the order of its networks."""

_SLOPE = 0.2
_DILATIONS = (1, 2, 4)


class MultiScaleSTFTDiscriminator(nn.Module):
    """A network for each window, on the complex spectrum; state dicts have the published keys."""

    def __init__(self, windows: Sequence[int] = STFT_WINDOWS, width: int = 32) -> None:
        """`windows`: samples; `width`: channels of every hidden layer."""
        super().__init__()
        self.shortest = max(windows)
        """Fewest samples that it takes."""
        self.discriminators = nn.ModuleList(_Resolution(window, width) for window in windows)

    def forward(self, wav: Tensor) -> list[ScaleOutput]:
        """Waveforms (B, samples), at least the longest window, to the output of each network."""
        if wav.shape[1] < self.shortest:
            raise ValueError(must("wav", f"at least {self.shortest} samples long", wav.shape[1]))
        return [network(wav) for network in self.discriminators]


class _Resolution(nn.Module):
    """Convolutions over time and frequency of one spectrum."""

    def __init__(self, window: int, width: int) -> None:
        super().__init__()
        self.spec_transform = _Spectrum(window)
        # Weight norm on all but the first layer, as published.
        first = _Named(nn.Conv2d(2, width, (3, 9), padding=(1, 4)))
        wider = [nn.Conv2d(width, width, (3, 9), (1, 2), (d, 4), dilation=(d, 1)) for d in _DILATIONS]
        square = nn.Conv2d(width, width, 3, padding=1)
        self.convs = nn.ModuleList([first, *(_Named(WeightNormed(conv)) for conv in (*wider, square))])
        self.conv_post = _Named(WeightNormed(nn.Conv2d(width, 1, 3, padding=1)))

    def forward(self, wav: Tensor) -> ScaleOutput:
        """(B, samples) to logits (B, n) and maps (B, channels, frames, frequencies)."""
        return through(self.convs, self.conv_post, self.spec_transform(wav), _SLOPE)


class _Spectrum(nn.Module):
    """Complex spectrum within the waveform, its real and imaginary parts as two channels."""

    window: Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, wav: Tensor) -> Tensor:
        """(B, samples) to (B, 2, frames, n_fft / 2 + 1); white noise of power one has power one."""
        return complex_spectrum(wav, self.window, center=False)


class _Named(nn.Module):
    """A convolution whose parameters have `conv` in their names, as published."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) to the convolution's output."""
        return self.conv(x)
