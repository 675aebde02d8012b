"""`slmzoo train ulm` and `slmzoo train ellav`: the models over units."""

from __future__ import annotations

from dataclasses import dataclass

from slmzoo.commands.training import tell
from slmzoo.training.tasks import ellav, ulm

__all__ = ["TrainEllav", "TrainUlm"]


@dataclass(frozen=True, kw_only=True)
class TrainUlm:
    """A unit language model. The defaults are those of the published models (arXiv 2505.23494).

    The line on standard output holds: zoo, kind, k, lmbda, step (after which the weights were best), loss (nats a
    unit, held out), bits_per_unit and, of framewise units, bits_per_second.
    """

    settings: ulm.UlmSettings

    def run(self) -> int:
        """Train it."""
        tell(ulm.train(self.settings))
        return 0


@dataclass(frozen=True, kw_only=True)
class TrainEllav:
    """An acoustic model, from units to codec tokens. The defaults are those of the published models.

    The line on standard output holds: zoo, kind, k, lmbda, step (after which the weights were best), loss (nats a
    target, held out).
    """

    settings: ellav.EllavSettings

    def run(self) -> int:
        """Train it."""
        tell(ellav.train(self.settings))
        return 0
