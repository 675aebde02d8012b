"""Tones as test material: what they are at any rate is known by their formula."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def tone(seconds: float = 0.1, sr: int = 16000, channels: int = 1) -> Tensor:
    """A sine of half amplitude in each channel, (channels, samples): 220 Hz, 330 Hz, ..."""
    t = torch.arange(round(seconds * sr), dtype=torch.float64) / sr
    return torch.stack([0.5 * torch.sin(2 * math.pi * (220 + 110 * c) * t) for c in range(channels)]).float()
