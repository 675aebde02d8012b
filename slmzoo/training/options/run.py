"""Options that training commands share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from simple_parsing import field

from slmzoo.arguments import flag

__all__ = ["Optimization", "RunOptions", "TrainOptions"]


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """AdamW with a linear warm-up and a cosine decay."""

    title: ClassVar[str] = "optimisation"

    steps: int
    """Number of optimiser steps."""
    lr: float
    """Highest learning rate."""
    first_lr: float = 1e-7
    """Learning rate of the first step."""
    last_lr: float = 1e-5
    """Learning rate of the last step."""
    warmup: int = 0
    """Steps of linear warm-up; the learning rate then decays along a cosine."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's two decay rates."""
    eps: float = 1e-8
    """AdamW's term for numerical stability."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    def lr_at(self, step: int) -> float:
        """Return the learning rate at a step, 0-based."""
        return self._lr_at(step, self.steps)

    def _lr_at(self, step: int, steps: int) -> float:
        """Return the learning rate at a step of a schedule of `steps` steps."""
        if step < self.warmup:
            return self.first_lr + (self.lr - self.first_lr) * step / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, steps - 1 - self.warmup))
        return self.last_lr + (self.lr - self.last_lr) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A training run and what it adds to a zoo."""

    title: ClassVar[str] = "run"

    run: Path = field(metavar="DIR")
    """Folder of the run: its settings, checkpoints, logs and curves. An existing one needs --resume or --overwrite."""
    config: Path | None = field(default=None, metavar="FILE.yaml")
    """YAML file of options, named as here; the command line takes precedence. A run folder keeps its own."""
    resume: bool = flag()
    """Resume the run in the folder, or start it if there is none."""
    overwrite: bool = flag()
    """Remove the run in the folder first."""
    zoo: str = "mine"
    """Name of the zoo that the model is added to."""
    registry: Path | None = field(default=None, metavar="ZOO.json")
    """JSON file for the model's row, beside which its weights are written; RUN/zoo.json if left out. Several runs can
    share one."""
    licence: str = "not stated"
    """Licence of the weights, for the registry."""
    origin: str = "not stated"
    """Who made the weights and from what data, for the registry."""
    save_half: bool = flag()
    """Write the weights in half precision."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device; auto takes the fastest available."""
    seed: int = 0
    """Seed of all random draws."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions, Optimization):
    """Training by gradient descent."""

    title: ClassVar[str] = "training"

    init: str | None = None
    """Model file, published or of the project, to initialise the weights from; of the same sizes as the options."""
    batch: int
    """Items per batch on a device."""
    accumulate: int = 1
    """Batches per step, distributed over the devices: a multiple of their number, which does not change the run."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """Mixed bfloat16 or float32; auto takes bfloat16 on CUDA."""
    devices: int = 1
    """Devices per node."""
    nodes: int = 1
    """Nodes (machines)."""
    workers: int = 0
    """Data-loading processes; 0 loads in the training process."""
    compile: bool = flag()
    """Compile the model with torch.compile: a slow start, then faster steps."""
    log_every: int = 20
    """Steps between rows of train.csv."""
    validate_every: int | None = 500
    """Steps between validations."""
    save_every: int = 500
    """Steps between checkpoints."""
    patience: int | None = None
    """Stop after this many consecutive validations without improvement; never if left out."""
    logger: Literal["none", "tensorboard", "wandb"] = "none"
    """Logger besides the CSV files."""
