"""Training task: a model with its data and its objective, independent of the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from slmzoo.training.options.run import Optimization

__all__ = ["Figures", "ParameterGroup", "StepContext", "Task", "generator"]

Figures = Mapping[str, float | Tensor]
"""Numbers to log, by name; tensors of one element, detached, stay on the device until they are logged."""


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
    """Model with its data and its objective.

    Parameters and buffers are saved in checkpoints; data must be neither. Methods must depend on nothing but their
    arguments and that state, so that an interrupted run resumes exactly.
    """

    monitor: ClassVar[str | None] = None
    """Figure of `figures` whose lowest value selects the final weights; None: the last weights."""

    freezes: ClassVar[bool] = False
    """Whether some parameters get no gradient in some steps, which matters on several devices."""

    def identity(self) -> Mapping[str, Any]:
        """Return plain values that identify the model apart from its weights; a resumed run must agree in them."""
        return {}

    @abstractmethod
    def parts(self) -> Mapping[str, ParameterGroup]:
        """Return the optimisers' parameter groups in the order of their steps, by the names passed to `loss`."""

    @abstractmethod
    def batch(self, draw: torch.Generator) -> Any:
        """Sample a batch on the CPU with `draw`: tensors in tuples, lists or dicts. May run in another process."""

    def batch_at(self, step: int, number: int, draw: torch.Generator) -> Any:
        """Return batch `number` of the batches of a step, over all devices; where the data have an order, its place.

        As `batch`, which is what it returns by default.
        """
        return self.batch(draw)

    @abstractmethod
    def loss(self, part: str, batch: Any, context: StepContext) -> tuple[Tensor, Figures] | None:
        """Return the loss of a batch for one of the parts, and figures to log; None to skip the part at this step."""

    def after_step(self, step: int) -> None:
        """Change what is not moved by gradients, on each device after all parts have moved; nothing by default."""

    def trouble(self) -> str | None:
        """Return the fault of a model that stops the run before it is saved; None for a sound one.

        Every device returns the same.
        """
        return None

    def validation(self) -> Sequence[Any]:
        """Return the batches of the held-out data, always the same; none by default."""
        return ()

    def validate(self, batch: Any) -> Figures:
        """Return sums over a held-out batch of `validation`."""
        raise NotImplementedError

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """Return the figures to log from the sums over all held-out batches."""
        return sums

    def to_compile(self) -> Sequence[nn.Module]:
        """Return the modules worth compiling with torch.compile; none by default."""
        return ()

    def show(self, step: int, folder: Path) -> None:
        """Write samples of the model's output after `step` steps, at each validation; nothing by default."""


def generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """Return the CPU generator of one step and stream, so that a resumed run draws the same numbers."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence((seed, step, stream)).generate_state(1)[0]))
