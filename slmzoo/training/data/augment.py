"""What is done to pieces of speech so that an encoder learns the words: speed, noise, level and masks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["disturbed", "masked_spans", "warped"]


def warped(piece: Tensor, target: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """A piece (frames * hop,) with its targets (frames,), played `factor` times as fast."""
    frames = max(1, round(len(target) / factor))
    if frames == len(target):
        return piece, target
    samples = len(piece) // len(target) * frames
    played = F.interpolate(piece[None, None], samples, mode="linear", align_corners=False)[0, 0]
    return played, target[(torch.arange(frames) + 0.5).mul(len(target) / frames).long()]


def disturbed(piece: Tensor, noise: float, quietest: float, loudest: float, draw: torch.Generator) -> Tensor:
    """A piece (samples,) at a level between two factors; every other with white noise of up to `noise` its strength."""
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
