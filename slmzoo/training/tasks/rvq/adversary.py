"""Discriminators of a codec's training, chosen by name, and their losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.discriminators import (
    MultiFrequencyDiscriminator,
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
    MultiScaleSTFTDiscriminator,
    ScaleOutput,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from slmcore.layers.discriminators.multi_frequency import CHANNELS
from slmcore.layers.discriminators.multi_period import WIDTHS as PERIOD_WIDTHS
from slmcore.layers.discriminators.multi_scale import WIDTHS as SCALE_WIDTHS
from slmzoo.training.options.rvq import RVQOptions

__all__ = ["DISCRIMINATORS", "Adversary"]


def _scaled(widths: Sequence[int], factor: float, step: int = 1) -> tuple[int, ...]:
    """Return widths times a factor, in multiples of `step`."""
    return tuple(max(1, round(width * factor / step)) * step for width in widths)


DISCRIMINATORS: dict[str, Callable[[float, int], nn.Module]] = {
    "multi-frequency": lambda factor, rate: MultiFrequencyDiscriminator(rate, channels=_scaled(CHANNELS, factor, 32)),
    "multi-scale-stft": lambda factor, rate: MultiScaleSTFTDiscriminator(width=_scaled([32], factor)[0]),
    "multi-period": lambda factor, rate: MultiPeriodDiscriminator(widths=_scaled(PERIOD_WIDTHS, factor)),
    "multi-scale": lambda factor, rate: MultiScaleDiscriminator(widths=_scaled(SCALE_WIDTHS, factor, 16)),
}
"""Discriminators by name, of a width relative to the published one and a sample rate in Hz."""


_OF_WAVEFORMS = ("multi-period", "multi-scale")
"""Those of HiFi-GAN, which counts their logits as feature maps."""


class Adversary(nn.Module):
    """Discriminators of a codec; the losses of all of them are added."""

    def __init__(self, options: RVQOptions, sample_rate: int) -> None:
        super().__init__()
        self.options = options
        made = {name: DISCRIMINATORS[name](options.discriminator_width, sample_rate) for name in options.discriminators}
        self.networks = nn.ModuleDict(made)

    @classmethod
    def of(cls, options: RVQOptions, sample_rate: int) -> Adversary | None:
        """Return the discriminators that options name, or None; a ValueError for crops too short for one."""
        if not options.discriminators:
            return None
        made = cls(options, sample_rate)
        for name, network in made.networks.items():
            shortest: int = getattr(network, "shortest", 1)
            if options.crop < shortest:
                raise ValueError(must("crop", f"at least {shortest} samples for {name}", options.crop))
        return made

    def generator_losses(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Return the codec's losses, `adversarial` and `matching`, for waveforms (B, samples)."""
        kind: dict[str, Any] = {"reduction": self.options.reduction}
        adversarial, matching = [], []
        for name, network in self.networks.items():
            with torch.no_grad():
                on_real: list[ScaleOutput] = network(real)
            on_made: list[ScaleOutput] = network(made)
            adversarial.append(generator_loss(on_made, self.options.objective, **kind))
            logits = self.options.matching_logits and name in _OF_WAVEFORMS
            matching.append(feature_matching_loss(on_real, on_made, logits=logits, **kind))
        return {"adversarial": torch.stack(adversarial).sum(), "matching": torch.stack(matching).sum()}

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Return the discriminators' own loss for waveforms (B, samples)."""
        kind: dict[str, Any] = {"reduction": self.options.reduction}
        networks = self.networks.values()
        found = [discriminator_loss(n(real), n(made.detach()), self.options.objective, **kind) for n in networks]
        return torch.stack(found).sum()
