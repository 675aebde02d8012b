"""Adversarial losses and feature matching over the outputs of discriminators.

Least squares (LSGAN, Mao et al., arXiv 1611.04076) or hinge (Lim and Ye, arXiv 1705.02894), summed over the networks as
in HiFi-GAN, or their mean as in SoundStream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from slmcore.errors import must
from slmcore.layers.discriminators.outputs import ScaleOutput

__all__ = ["Objective", "Reduction", "discriminator_loss", "feature_matching_loss", "generator_loss"]

Objective = Literal["lsgan", "hinge"]
Reduction = Literal["sum", "mean"]
"""Over the networks, and for feature matching over all maps of all networks."""

#: Loss of logits that should be those of real audio, and of generated audio.
_REAL: dict[str, Callable[[Tensor], Tensor]] = {"lsgan": lambda x: (1 - x).square(), "hinge": lambda x: relu(1 - x)}
_GENERATED: dict[str, Callable[[Tensor], Tensor]] = {"lsgan": torch.square, "hinge": lambda x: relu(1 + x)}


def discriminator_loss(
    real: Sequence[ScaleOutput],
    generated: Sequence[ScaleOutput],
    objective: Objective = "lsgan",
    reduction: Reduction = "sum",
) -> Tensor:
    """Loss of a discriminator's outputs for real and for generated audio; a ValueError for unknown options."""
    on_real, on_generated = _objective(_REAL, objective), _objective(_GENERATED, objective)
    pairs = zip(real, generated, strict=True)
    return _reduced((on_real(a.logits).mean() + on_generated(b.logits).mean() for a, b in pairs), reduction)


def generator_loss(
    generated: Sequence[ScaleOutput], objective: Objective = "lsgan", reduction: Reduction = "sum"
) -> Tensor:
    """Loss of a generator whose audio should pass for real; the hinge is the clipped one of EnCodec and SoundStream."""
    on_real = _objective(_REAL, objective)
    return _reduced((on_real(each.logits).mean() for each in generated), reduction)


def feature_matching_loss(
    real: Sequence[ScaleOutput],
    generated: Sequence[ScaleOutput],
    reduction: Reduction = "sum",
    *,
    logits: bool = False,
    relative: bool = False,
) -> Tensor:
    """Mean absolute difference of each feature map from that for real audio, which gets no gradient.

    `logits` counts these as a last map, as HiFi-GAN does for its discriminators; `relative` divides each difference by
    the map's mean magnitude for real audio, as EnCodec does.
    """
    pairs = [(a, b) for x, y in zip(real, generated, strict=True) for a, b in zip(x.maps, y.maps, strict=True)]
    if logits:
        pairs += [(x.logits, y.logits) for x, y in zip(real, generated, strict=True)]
    return _reduced((_difference(a.detach(), b, relative) for a, b in pairs), reduction)


def _difference(real: Tensor, generated: Tensor, relative: bool) -> Tensor:
    difference = (real - generated).abs().mean()
    return difference / real.abs().mean().clamp(min=1e-6) if relative else difference


def _objective(losses: dict[str, Callable[[Tensor], Tensor]], objective: str) -> Callable[[Tensor], Tensor]:
    if objective not in losses:
        raise ValueError(must("objective", f"one of {', '.join(losses)}", objective))
    return losses[objective]


def _reduced(losses: Iterable[Tensor], reduction: str) -> Tensor:
    if reduction not in ("sum", "mean"):
        raise ValueError(must("reduction", "'sum' or 'mean'", reduction))
    stacked = torch.stack(list(losses))
    return stacked.sum() if reduction == "sum" else stacked.mean()
