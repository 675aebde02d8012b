"""Settings of training a codec with residual codebooks, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from slmcore.errors import must
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.options.run import Optimization
from slmzoo.training.options.rvq import RVQOptions
from slmzoo.training.tasks.rvq.adversary import DISCRIMINATORS

__all__ = ["RVQSettings"]

_SHARES = ("decay", "revive_below", "collapse_below", "quantizer_dropout", "unquantised_share")
_WEIGHTS = ("commitment", "adversarial", "feature_matching", "distillation", "latent_noise")


@dataclass(frozen=True, kw_only=True)
class RVQSettings(RVQOptions, TrainSettings):
    """The settings of a codec with residual codebooks."""

    fixed: ClassVar[frozenset[str]] = TrainSettings.fixed | {"discriminators", "discriminator_width", "teacher"}

    def check(self, hop: int, levels: int) -> None:
        """Raise a ValueError for options that do not fit a codec of `hop` samples per frame and `levels` codebooks."""
        if self.crop < 1 or self.crop % hop:
            raise ValueError(must("crop", f"a multiple of the hop ({hop})", self.crop))
        if any(not 1 <= each <= levels for each in self.dropout_levels):
            raise ValueError(must("dropout_levels", f"from 1 to the {levels} levels", self.dropout_levels))
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(must(name, "from 0 to 1", getattr(self, name)))
        for name in (*_WEIGHTS, *self.weights()):
            value = self.weights().get(name, getattr(self, name, 0.0))
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(must(name, "a finite number >= 0", value))
        self._check_counts()
        self._check_discriminators()

    def _check_counts(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0):
            raise ValueError(must("gain", "a finite number > 0", self.gain))
        for name in ("held_out", "samples", "start_crops", "discriminator_every"):
            if getattr(self, name) < 1:
                raise ValueError(must(name, "a whole number >= 1", getattr(self, name)))
        if self.latent_noise and not self.unquantised_share:
            remedy = "The noise is added to latents that are not quantised: give --unquantised-share too."
            raise ValueError(must("latent_noise", "0 without unquantised_share", self.latent_noise, remedy))

    @property
    def revival(self) -> int:
        """Steps after which a code that is no longer used is replaced; 0 if none is."""
        if not (0 < self.revive_below < 1 and 0 < self.decay < 1):
            return 0
        return math.ceil(math.log(self.revive_below) / math.log(self.decay))

    def _check_discriminators(self) -> None:
        unknown = [name for name in self.discriminators if name not in DISCRIMINATORS]
        if unknown or len(set(self.discriminators)) < len(self.discriminators):
            raise ValueError(
                must("discriminators", f"different ones of {', '.join(DISCRIMINATORS)}", self.discriminators)
            )
        if not (math.isfinite(self.discriminator_width) and self.discriminator_width > 0):
            raise ValueError(must("discriminator_width", "a finite number > 0", self.discriminator_width))
        if self.discriminator_lr is not None and not self.discriminator_lr > 0:
            raise ValueError(must("discriminator_lr", "a number > 0", self.discriminator_lr))

    def weights(self) -> dict[str, float]:
        """Weight of each loss by its name among the figures."""
        return {
            "commitment": self.commitment,
            "adversarial": self.adversarial,
            "matching": self.feature_matching,
            "distillation": self.distillation,
        }

    @property
    def of_discriminators(self) -> Optimization:
        """Optimisation of the discriminators."""
        rules: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(Optimization)}
        rules["lr"] = self.lr if self.discriminator_lr is None else self.discriminator_lr
        return Optimization(**rules)
