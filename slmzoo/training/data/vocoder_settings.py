"""Settings of training a unit vocoder: units, recordings, losses, and sizes that follow from the rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from slmcore.errors import must
from slmzoo.training.data.unit_settings import UnitDataSettings
from slmzoo.training.options.vocoder import VocoderOptions
from twist import VocoderConfig

__all__ = ["VocoderSettings"]

_RATES = {320: (5, 4, 4, 2, 2), 640: (5, 4, 4, 2, 2, 2)}
"""Upsampling factors by samples per frame."""
_SHORTEST_SEGMENT = 1024
"""Window of the mel loss."""


@dataclass(frozen=True, kw_only=True)
class VocoderSettings(VocoderOptions, UnitDataSettings):
    """The settings of a unit vocoder, checked."""

    fixed: ClassVar[frozenset[str]] = UnitDataSettings.fixed | {"speakers"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("held_out", 1), ("samples", 0), ("tolerance", 0), ("discriminator_from", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(must(name, f"a number >= {least}", getattr(self, name)))
        for name in ("mel", "feature_matching", "adversarial", "duration"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(must(name, "a weight >= 0", getattr(self, name)))
        if not 0 < self.decay <= 1:
            raise ValueError(must("decay", "above 0 and at most 1", self.decay))
        if not 0 <= self.duration_dropout < 1:
            raise ValueError(must("duration_dropout", "from 0 to below 1", self.duration_dropout))
        if self.segment < _SHORTEST_SEGMENT:
            raise ValueError(must("segment", f"at least {_SHORTEST_SEGMENT} samples", self.segment))
        if self.discriminator_width < 4 or self.discriminator_width % 4:
            raise ValueError(must("discriminator_width", "a multiple of 4", self.discriminator_width))

    def sizes(self, k: int, frame_rate: float, speakers: Sequence[str] = ()) -> VocoderConfig:
        """Return the vocoder's config for k units at a frame rate.

        Raises ValueError for upsampling factors or a segment that do not fit the samples per frame.
        """
        hop = self.sample_rate / frame_rate
        rates = self.rates or _RATES.get(int(hop), ())
        if not rates or math.prod(rates) != hop:
            found = self.rates or "left out"
            remedy = "Their product is the sample rate over the frame rate."
            raise ValueError(must("rates", f"factors of {hop:g} samples per frame", found, remedy))
        if self.segment % int(hop):
            raise ValueError(must("segment", f"a multiple of the {int(hop)} samples per frame", self.segment))
        return VocoderConfig(
            num_units=k,
            dim=self.dim,
            sample_rate=self.sample_rate,
            channels=self.channels,
            rates=rates,
            kernels=self.kernels or tuple(2 * rate + rate % 2 for rate in rates),
            block_kernels=self.block_kernels,
            block_dilations=(self.dilations,) * len(self.block_kernels),
            num_speakers=len(speakers),
            speakers=tuple(speakers),
            duration_width=self.duration_width,
        )
