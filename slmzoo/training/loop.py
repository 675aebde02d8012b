"""One resumable training loop for every model of the zoo."""

from __future__ import annotations

import csv
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

__all__ = ["Schedule", "fit", "generator"]

logger = logging.getLogger(__name__)
LossFunction = Callable[[int], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay."""

    steps: int
    """Optimiser steps in all."""
    lr: float
    """Highest learning rate."""
    warmup: int = 200
    """Steps from zero to `lr`."""
    final_lr: float = 1e-5
    """Learning rate at the last step."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""

    def lr_at(self, step: int) -> float:
        """The learning rate at a step, 0-based."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.final_lr + (self.lr - self.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def generator(seed: int, step: int) -> torch.Generator:
    """Random numbers that belong to one step, so that a resumed run draws what an unbroken one does."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def fit(
    model: nn.Module, loss: LossFunction, schedule: Schedule, run: str | Path, *, save_every: int = 200, seed: int = 7
) -> None:
    """Train `model` for `schedule.steps` steps of `loss(step) -> (loss, figures to log)`, going on where `run` stands.

    `loss` must depend on the step alone (draw with `generator(seed, step)`). The run folder gets `last.pt` (model,
    optimiser, step) every `save_every` steps, replaced whole, and `log.csv`. Raises FloatingPointError, and keeps the
    last good state, if the loss is not finite.
    """
    run = Path(run)
    run.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.lr, betas=schedule.betas, weight_decay=schedule.weight_decay
    )
    start = _resume(model, optimizer, run / "last.pt")
    model.train()
    began = time.monotonic()
    for step in tqdm(range(start, schedule.steps), initial=start, total=schedule.steps, desc=run.name, mininterval=10):
        torch.manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = schedule.lr_at(step)
        value, figures = loss(step)
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"The loss of {run.name} is {float(value)} at step {step}; {run / 'last.pt'} is kept."
            )
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimizer.step()
        last = step + 1 == schedule.steps
        if (step + 1) % save_every == 0 or last:
            _save(model, optimizer, step + 1, run / "last.pt")
        if (step + 1) % 20 == 0 or last:
            _log(
                run / "log.csv",
                {"step": step + 1, "loss": float(value.detach()), **figures, "s": time.monotonic() - began},
            )
    model.eval()


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> int:
    if not path.exists():
        return 0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    logger.info("resumed at step %d from %s", saved["step"], path)
    return int(saved["step"])


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
    part.replace(path)


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 6) for k, v in row.items()})
