"""Tones as test material: what they are at any rate is known by their formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from slmcore import audio
from slmzoo.training.loop.task import generator


def tone(seconds: float = 0.1, sr: int = 16000, channels: int = 1) -> Tensor:
    """A sine of half amplitude in each channel, (channels, samples): 220 Hz, 330 Hz, ..."""
    t = torch.arange(round(seconds * sr), dtype=torch.float64) / sr
    return torch.stack([0.5 * torch.sin(2 * math.pi * (220 + 110 * c) * t) for c in range(channels)]).float()


def write_chirps(folder: Path, lengths: Sequence[int], sr: int, noise: float = 0.0) -> Path:
    """Write rising tones of up to three lengths in samples, with white noise, as `<number>.wav`; return the folder."""
    for i, (pitch, samples) in enumerate(zip((150, 300, 700), lengths, strict=False)):
        time = torch.arange(samples) / sr
        hiss = noise * torch.randn(samples, generator=generator(i, 0))
        audio.write(folder / f"{i}.wav", torch.sin(2 * math.pi * pitch * time * (1 + time)) / 4 + hiss, sr)
    return folder
