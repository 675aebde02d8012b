"""Learnability of latents: how well one small denoiser, given the same steps, removes noise from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["NOISE_LEVELS", "errors_of", "trained_denoiser"]

NOISE_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Share of noise t in x_t = (1 - t) x + t z (a straight path, arXiv 2210.02747)."""
_WIDTH, _KERNEL, _FRAMES, _BATCH = 64, 5, 40, 16


class _Denoiser(nn.Module):
    """Convolutions over time, conditioned on the share of noise."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        widths = [dimension + 1, _WIDTH, _WIDTH, _WIDTH]
        convs = [nn.Conv1d(a, b, _KERNEL, padding=_KERNEL // 2) for a, b in pairwise(widths)]
        layers = [layer for conv in convs for layer in (conv, nn.GELU())]
        self.layers = nn.Sequential(*layers, nn.Conv1d(_WIDTH, dimension, 1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, D, T) with shares t (B,) to the latents without noise, (B, D, T)."""
        times = t[:, None, None].expand(-1, 1, x.shape[-1])
        return self.layers(torch.cat([x, times], 1))


def trained_denoiser(latents: Sequence[Tensor], steps: int, seed: int) -> nn.Module:
    """Train a denoiser on normalised latents (D, T) of recordings."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    model = _Denoiser(len(latents[0]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    long = [x for x in latents if x.shape[1] >= _FRAMES]
    for _ in range(steps):
        chosen = torch.randint(len(long), (_BATCH,), generator=draw).tolist()
        x = torch.stack([_cut(long[i], draw) for i in chosen])
        t = torch.rand(len(x), generator=draw)
        loss = (model(_noisy(x, t, draw), t) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def errors_of(model: nn.Module, latents: Tensor, seed: int) -> list[float]:
    """Return the mean squared error of latents (D, T) at each of the noise levels; a variance of 1 is chance."""
    errors = []
    for number, share in enumerate(NOISE_LEVELS):
        draw = torch.Generator().manual_seed(seed * len(NOISE_LEVELS) + number)
        t = torch.tensor([share])
        errors.append(float((model(_noisy(latents[None], t, draw), t) - latents).square().mean()))
    return errors


def _cut(x: Tensor, draw: torch.Generator) -> Tensor:
    start = int(torch.randint(x.shape[1] - _FRAMES + 1, (), generator=draw))
    return x[:, start : start + _FRAMES]


def _noisy(x: Tensor, t: Tensor, draw: torch.Generator) -> Tensor:
    t = t[:, None, None]
    return (1 - t) * x + t * torch.randn(x.shape, generator=draw)
