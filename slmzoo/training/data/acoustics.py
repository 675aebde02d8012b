"""Rooms, microphones and background talk, as augmentation of clean speech at 16 kHz."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["in_a_room", "through_a_channel", "with_background"]

_RATE = 16_000
_REVERBERATION = (0.1, 0.6)
"""Seconds in which a room's sound falls by 60 dB."""
_DIRECT = (0.0, 15.0)
"""Direct sound over reverberation, dB."""
_BANDS, _GAIN = 9, 5.0
"""Bands of the equaliser, even on the mel scale, and standard deviation of their gains in dB."""
_TELEPHONE = (300.0, 3400.0)
_STOPPED = -50.0
"""Gain outside the telephone band, dB."""
_TELEPHONES = 1 / 3
_BACKGROUND = (3.0, 20.0)
"""Speech over background, dB."""


def in_a_room(wav: Tensor, draw: torch.Generator) -> Tensor:
    """Convolve speech (samples,) with a random impulse response: the direct sound, then decaying white noise."""
    seconds, ratio = _uniform(_REVERBERATION, draw), _uniform(_DIRECT, draw)
    time = torch.arange(1, round(seconds * _RATE)) / _RATE
    tail = torch.randn(len(time), generator=draw) * 10 ** (-3 * time / seconds)
    response = torch.cat([torch.ones(1), tail / tail.norm() * 10 ** (-ratio / 20)])
    length = len(wav) + len(response) - 1
    reverberant = torch.fft.irfft(torch.fft.rfft(wav, length) * torch.fft.rfft(response, length), length)
    return reverberant[: len(wav)]


def through_a_channel(wav: Tensor, draw: torch.Generator) -> Tensor:
    """Filter speech (samples,) by a random equaliser, and one segment in three by a telephone band as well."""
    hertz = torch.fft.rfftfreq(len(wav), 1 / _RATE)
    mel = (1 + hertz / 700).log() / torch.tensor(1 + _RATE / 2 / 700).log()
    gains = _GAIN * torch.randn(_BANDS, generator=draw)
    place = mel * (_BANDS - 1)
    below = place.long().clamp(max=_BANDS - 2)
    decibels = torch.lerp(gains[below], gains[below + 1], place - below)
    if _uniform((0, 1), draw) < _TELEPHONES:
        decibels = decibels + _STOPPED * ((hertz < _TELEPHONE[0]) | (hertz > _TELEPHONE[1]))
    return torch.fft.irfft(torch.fft.rfft(wav) * 10 ** (decibels / 20), len(wav))


def with_background(wav: Tensor, other: Tensor, draw: torch.Generator) -> Tensor:
    """Add another recording (any samples,), repeated as needed, to speech (samples,), 3 to 20 dB below it."""
    ratio = _uniform(_BACKGROUND, draw)
    other = other.repeat(-(-len(wav) // len(other)))[: len(wav)]
    gain = _rms(wav) / _rms(other).clamp(min=1e-5) * 10 ** (-ratio / 20)
    return wav + gain * other


def _rms(wav: Tensor) -> Tensor:
    return wav.square().mean().sqrt()


def _uniform(bounds: tuple[float, float], draw: torch.Generator) -> float:
    low, high = bounds
    return low + torch.rand((), generator=draw).item() * (high - low)
