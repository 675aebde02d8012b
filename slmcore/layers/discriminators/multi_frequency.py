"""Multi-frequency discriminator: STFT magnitudes at several resolutions (UniAudio, arXiv 2310.00704)."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.discriminators.normed import WeightNormed
from slmcore.layers.discriminators.outputs import ScaleOutput, through

__all__ = ["CHANNELS", "HOPS", "Domain", "MultiFrequencyDiscriminator"]

HOPS = (32, 64, 128, 256, 512, 1024)
"""Hops of the published discriminator, samples; windows are four times as long."""
CHANNELS = (64, 128, 256, 512, 512, 512)
"""Widths of the published networks, one for each hop; the last hidden layer has as many channels."""
Domain = Literal["double", "log", "linear"]
"""Input: magnitudes and their logarithms as two channels, or one of them."""

_SLOPE = 0.2
_NARROWER = (32, 16, 8, 4, 2, 1)
_STRIDES = (1, 2, 1, 2, 1, 2, 1)
_HALVINGS = 8


class MultiFrequencyDiscriminator(nn.Module):
    """A network for each hop, on mel-warped STFT magnitudes; state dicts have the published keys."""

    def __init__(
        self,
        sample_rate: int,
        hops: Sequence[int] = HOPS,
        channels: Sequence[int] = CHANNELS,
        domain: Domain = "double",
        mel_scale: bool = True,
    ) -> None:
        """`hops`: samples; `channels`: multiples of 32, one for each hop."""
        super().__init__()
        if len(hops) != len(channels) or not hops:
            raise ValueError(must("channels", f"one number for each of the {len(hops)} hops", tuple(channels)))
        if any(width < 1 or width % _NARROWER[0] for width in channels):
            raise ValueError(must("channels", f"multiples of {_NARROWER[0]}", tuple(channels)))
        self.shortest = _HALVINGS * max(hops)
        """Fewest samples that it takes."""
        self.discriminators = nn.ModuleList(
            _Resolution(sample_rate, hop, width, domain, mel_scale) for hop, width in zip(hops, channels, strict=True)
        )

    def forward(self, wav: Tensor) -> list[ScaleOutput]:
        """Waveforms (B, samples), at least `shortest`, to the output of each network."""
        if wav.shape[1] < self.shortest:
            raise ValueError(must("wav", f"at least {self.shortest} samples long", wav.shape[1]))
        return [network(wav) for network in self.discriminators]


class _Resolution(nn.Module):
    """3x3 convolutions on one spectrogram."""

    bank: Tensor
    window: Tensor

    def __init__(self, sample_rate: int, hop: int, width: int, domain: Domain, mel_scale: bool) -> None:
        super().__init__()
        if domain not in ("double", "log", "linear"):
            raise ValueError(must("domain", "double, log or linear", domain))
        self.hop, self.domain = hop, domain
        self.register_buffer("window", torch.hann_window(4 * hop), persistent=False)
        self.register_buffer("bank", _mel_bank(2 * hop + 1, sample_rate) if mel_scale else None, persistent=False)
        widths = [2 if domain == "double" else 1, *(width // narrower for narrower in _NARROWER), 1]
        layers = zip(widths[:-1], widths[1:], _STRIDES, strict=True)
        self.discriminator = nn.ModuleList(_layer(i, *sizes) for i, sizes in enumerate(layers))

    def forward(self, wav: Tensor) -> ScaleOutput:
        """(B, samples) to logits (B, n) and maps (B, channels, frequencies, frames)."""
        return through(self.discriminator[:-1], self.discriminator[-1], self.spectrum(wav), _SLOPE)

    def spectrum(self, wav: Tensor) -> Tensor:
        """Return the channels (B, 1 or 2, frequencies, frames) of waveforms (B, samples)."""
        with torch.autocast(wav.device.type, enabled=False):
            stft = torch.stft(wav.float(), len(self.window), self.hop, window=self.window, return_complex=True)
            stft = stft / len(self.window) ** 0.5
            magnitude = (stft.real.square() + stft.imag.square()).clamp(min=1e-7).sqrt()
            if self.bank is not None:
                magnitude = self.bank.T @ magnitude
            level = ((20 * magnitude.log10() + 80) / 100).clamp(0, 1)
        return torch.stack({"double": [magnitude, level], "log": [level], "linear": [magnitude]}[self.domain], 1)


def _layer(index: int, into: int, out: int, stride: int) -> nn.Module:
    """Reflection and convolution, numbered as if all but the first followed an activation."""
    first = min(index, 1)
    pad, conv = nn.ReflectionPad2d(1), WeightNormed(nn.Conv2d(into, out, 3, stride))
    return nn.Sequential(OrderedDict({str(first): pad, str(first + 1): conv}))


def _mel_bank(bins: int, sample_rate: int) -> Tensor:
    """Triangles (bins, bins), as many as there are frequencies."""
    import torchaudio.functional as audio

    with warnings.catch_warnings():
        # Of so many triangles the lowest lie between two frequencies, which is as published.
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        bank = audio.melscale_fbanks(bins, 0.0, sample_rate / 2, bins, sample_rate, mel_scale="htk")
    return bank.clamp(1e-6, 1.0)
