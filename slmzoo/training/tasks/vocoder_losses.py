"""The duration loss of unit vocoders, and their discriminators (speech-resynthesis; HiFi-GAN, arXiv 2010.05646)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.layers.discriminators import PERIODS, MultiPeriodDiscriminator, MultiScaleDiscriminator
from twist import UnitVocoder

__all__ = ["duration_loss", "inner_runs", "vocoder_discriminators"]

_PERIOD_WIDTHS = (1, 4, 16, 32, 32)
_SCALE_WIDTHS = (4, 4, 8, 16, 32, 32, 32)


def vocoder_discriminators(width: int) -> nn.ModuleDict:
    """The multi-period and the multi-scale discriminator; `width` 32 gives the published sizes."""
    return nn.ModuleDict(
        {
            "mpd": MultiPeriodDiscriminator(PERIODS, [width * times for times in _PERIOD_WIDTHS]),
            "msd": MultiScaleDiscriminator(widths=[width * times for times in _SCALE_WIDTHS]),
        }
    )


def inner_runs(framewise: Tensor) -> tuple[Tensor, Tensor]:
    """Units (n,) and durations (n,) of the runs within a segment of framewise units.

    The first and the last are left out, since the segment truncates them, unless there are no others.
    """
    units, durations = torch.unique_consecutive(framewise, return_counts=True)
    return (units[1:-1], durations[1:-1]) if len(units) > 2 else (units, durations)


def duration_loss(model: UnitVocoder, runs: Tensor, durations: Tensor) -> Tensor:
    """Mean squared error of log(frames + 1), over runs (B, n) with durations (B, n), which are 0 for padding.

    The embeddings of padding are zeros, as published; the gradient reaches the table of units.
    """
    if model.durations is None:
        raise ValueError("This vocoder has no duration predictor. Give `duration_width` above 0.")
    real = durations > 0
    embedded = model.frames.units(runs) * real.unsqueeze(-1)
    predicted = model.durations(embedded).float()
    return (predicted - (durations + 1).log())[real].square().mean()
