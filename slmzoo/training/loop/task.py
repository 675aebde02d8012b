"""Training task: a model with its data and its objective, independent of the training loop."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from slmzoo.training.options.run import OptimizationOptions

__all__ = ["Figures", "Optimization", "ParameterGroup", "StepContext", "Task", "generator"]

Figures = Mapping[str, float | Tensor]
"""Numbers to log, by name; tensors of one element, detached, stay on the device until they are logged."""


@dataclass(frozen=True, kw_only=True)
class Optimization(OptimizationOptions):
    """AdamW with a linear warm-up and a cosine decay."""

    def lr_at(self, step: int) -> float:
        """The learning rate at a step, 0-based."""
        return self._lr_at(step, self.steps)

    def _lr_at(self, step: int, steps: int) -> float:
        """The learning rate at one of `steps` steps that it rises and falls in."""
        if step < self.warmup:
            return self.first_lr + (self.lr - self.first_lr) * step / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, steps - 1 - self.warmup))
        return self.last_lr + (self.lr - self.last_lr) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of one optimiser."""

    parameters: Iterable[nn.Parameter]
    optimization: Optimization


@dataclass(frozen=True)
class StepContext:
    """Step of training that a loss is computed for, with its source of randomness."""

    step: int
    """0-based."""
    draw: torch.Generator
    """Generator on the CPU for all randomness of the loss beyond dropout."""


class Task(nn.Module, ABC):
    """A model with its data and its objective.

    What it holds as parameters and buffers is kept in checkpoints; data must be neither. Nothing but the arguments and
    that state may decide what a method returns: then a run that was stopped goes on as if it had not been.
    """

    monitor: ClassVar[str | None] = None
    """The figure of `figures` whose lowest value marks the weights that the run ends with; None: the last weights."""

    freezes: ClassVar[bool] = False
    """Whether some of its parameters rest in some steps, which several devices want to know."""

    def identity(self) -> Mapping[str, Any]:
        """Plain values that say what the model is beside its weights, in checkpoints; a resumed run must have them."""
        return {}

    @abstractmethod
    def parts(self) -> Mapping[str, ParameterGroup]:
        """The optimisers, in the order in which they move in a step. The names are those that `loss` gets."""

    @abstractmethod
    def batch(self, draw: torch.Generator) -> Any:
        """One batch on the CPU, drawn with `draw`: tensors in tuples, lists or dicts. May run in another process."""

    @abstractmethod
    def loss(self, part: str, batch: Any, context: StepContext) -> tuple[Tensor, Figures] | None:
        """The loss of a batch for one of the parts, and figures to log; None if that part rests at this step."""

    def validation(self) -> Sequence[Any]:
        """The batches of the held-out data, always the same; none by default."""
        return ()

    def validate(self, batch: Any) -> Figures:
        """Sums over a held-out batch; of use where `validation` has some."""
        raise NotImplementedError

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """Return the figures to log from the sums over all held-out batches."""
        return sums

    def to_compile(self) -> Sequence[nn.Module]:
        """The modules whose `forward` torch.compile is worth its while for; none by default."""
        return ()

    def show(self, step: int, folder: Path) -> None:
        """Write samples of what the model does after `step` steps, with each validation; nothing by default."""


def generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """Random numbers on the CPU that belong to one step and stream: a resumed run draws what a whole one does."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence((seed, step, stream)).generate_state(1)[0]))
