"""Augmentation for masked prediction: speed, noise, gain and span masking."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["masked_spans", "speed_perturbed", "with_gain_and_noise"]


def speed_perturbed(piece: Tensor, target: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Speed up a segment (frames * hop,) and its targets (frames,) by `factor`."""
    frames = max(1, round(len(target) / factor))
    if frames == len(target):
        return piece, target
    samples = len(piece) // len(target) * frames
    played = F.interpolate(piece[None, None], samples, mode="linear", align_corners=False)[0, 0]
    return played, target[(torch.arange(frames) + 0.5).mul(len(target) / frames).long()]


def with_gain_and_noise(piece: Tensor, noise: float, quietest: float, loudest: float, draw: torch.Generator) -> Tensor:
    """Scale a segment (samples,) by a random gain; add white noise of up to `noise` times its RMS to half of them."""
    gain, noisy, level = torch.rand(3, generator=draw).tolist()
    if noisy < 0.5:
        strength = noise * level**2 * piece.square().mean().sqrt()
        piece = piece + strength * torch.randn(len(piece), generator=draw)
    return piece * math.exp(math.log(quietest) * (1 - gain) + math.log(loudest) * gain)


def masked_spans(shape: torch.Size, start: float, length: int, draw: torch.Generator) -> Tensor:
    """Spans of `length` frames that start with probability `start` at each, one at least: bool (B, frames)."""
    first = torch.rand(shape, generator=draw) < start
    first[torch.arange(shape[0]), torch.randint(max(1, shape[1] // 2), (shape[0],), generator=draw)] = True
    spread = F.max_pool1d(F.pad(first.float(), (length - 1, 0)), length, stride=1)
    return spread > 0
