"""Lightning module of a task: optimiser steps, validation, logging and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from slmzoo.training.loop.checkpoints import check_progress, load_task
from slmzoo.training.loop.curves import draw_curves
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import ParameterGroup, StepContext, Task, generator

__all__ = ["Module"]

_SECONDS_BETWEEN_PICTURES = 60
_BATCH, _LOSS, _DROPOUT = range(3)


class Module(lightning.LightningModule):
    """Lightning module of a task. Random numbers are drawn per step, so that no generator's state is kept."""

    def __init__(self, task: Task, settings: TrainSettings, run: Run) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.task, self.settings, self.run = task, settings, run
        self.start, self.best, self.without_gain = 0, float("inf"), 0
        self._parts = {name: _fixed(part) for name, part in task.parts().items()}
        self._saved_optimizers: list[Any] = []
        self._figures: dict[str, float | Tensor] = {}
        self._bar = tqdm(total=settings.steps, desc=run.path.name, unit="step", mininterval=1, disable=True)

    def restore(self) -> None:
        """Restore the state of the run folder, if it has one.

        Raises as `load_task` and `check_progress`.
        """
        saved = self.run.load("last.ckpt") if self.settings.resume else None
        if saved is None:
            return
        file = str(self.run.path / "last.ckpt")
        load_task(self.task, saved["task"], file)
        check_progress(self.task, saved, list(self._parts), self.settings.steps, file)
        self._saved_optimizers = list(saved["optimizers"].values())
        self.start, self.best, self.without_gain = saved["step"], saved["best"], saved["without_gain"]

    @property
    def done(self) -> bool:
        """Whether training is complete."""
        return self._done_at(self.start)

    def _done_at(self, step: int) -> bool:
        return step >= self.settings.steps or self._patience_is_over

    def configure_optimizers(self) -> list[AdamW]:
        """Make an optimiser for each part."""
        made = []
        for parameters, o in self._parts.values():
            fused = parameters[0].is_cuda
            made.append(
                AdamW(parameters, lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=fused or None)
            )
        for optimizer, state in zip(made, self._saved_optimizers, strict=False):
            optimizer.load_state_dict(state)
        self._saved_optimizers = []
        return made

    def train_dataloader(self) -> DataLoader:
        """Make the loader of this process's share of the batches of each remaining step."""
        mine = range(self.trainer.global_rank, self.settings.accumulate, self.trainer.world_size)
        steps = _Steps(self.task, self.settings.seed, range(self.start, self.settings.steps), mine)
        workers, cuda = self.settings.workers, self.device.type == "cuda"
        return DataLoader(steps, batch_size=None, num_workers=workers, pin_memory=cuda, persistent_workers=workers > 0)

    def on_train_start(self) -> None:
        """Start progress bar and clock; drop rows logged after the checkpoint."""
        self.task.train()
        self._clock = self._drawn = time.monotonic()
        self._wrong = torch.full((), -1, device=self.device)
        if self.trainer.is_global_zero:
            self.run.train.cut(self.start)
            self.run.validation.cut(self.start)
            self._bar = tqdm(
                total=self.settings.steps, initial=self.start, desc=self.run.path.name, unit="step", mininterval=1
            )

    def training_step(self, item: tuple[int, list[tuple[int, Any]]], index: int) -> None:
        """Take a step of each optimiser."""
        step, batches = item
        self._figures = {}
        made = self.optimizers()
        optimizers = made if isinstance(made, list) else [made]
        for (name, (_, optimization)), optimizer in zip(self._parts.items(), optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = optimization.lr_at(step)
            self._figures |= self._move(name, optimizer, step, batches, optimization.clip)
        self.task.after_step(step)
        first = next(iter(self._parts.values()))[1]
        self._figures["lr"] = first.lr_at(step)

    def _move(
        self, part: str, optimizer: Any, step: int, batches: list[tuple[int, Any]], clip: float
    ) -> dict[str, float | Tensor]:
        """Take a step of one optimiser; return its figures, averaged over the batches, none if the part is skipped."""
        several = len(self._parts) > 1
        if several:
            self.toggle_optimizer(optimizer)
        optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Any] = {}
        for place, (number, batch) in enumerate(batches):
            torch.manual_seed(generator(self.settings.seed, step, 3 * number + _DROPOUT).initial_seed())
            context = StepContext(step, generator(self.settings.seed, step, 3 * number + _LOSS))
            found = self.task.loss(part, batch, context)
            if found is None:
                break
            loss, figures = found
            with self._without_exchange(place + 1 < len(batches)):
                self.manual_backward(loss / len(batches))
            for name, value in {_loss_name(part, several): loss.detach(), **figures}.items():
                sums[name] = sums.get(name, 0.0) + value
        else:
            parameters = self._parts[part][0]
            norm = nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()
            self._note_if_wrong(step, sums[_loss_name(part, several)], norm)
        if several:
            self.untoggle_optimizer(optimizer)
        return {name: value / len(batches) for name, value in sums.items()}

    def _without_exchange(self, wanted: bool) -> AbstractContextManager[Any]:
        """Defer the exchange of gradients to the last batch of a step."""
        model = self.trainer.strategy.model
        if wanted and isinstance(model, nn.parallel.DistributedDataParallel):
            return model.no_sync()
        return nullcontext()

    def _note_if_wrong(self, step: int, loss: Tensor, norm: Tensor) -> None:
        fine = torch.isfinite(loss) & torch.isfinite(norm)
        self._wrong = torch.where(fine | (self._wrong >= 0), self._wrong, step)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log, validate and save when due."""
        done, last = batch[0] + 1, batch[0] + 1 == self.settings.steps
        settings = self.settings
        if self.trainer.is_global_zero:
            self._bar.update()
        intervals = (settings.log_every, settings.validate_every, settings.save_every)
        due = [last or (every is not None and done % every == 0) for every in intervals]
        if any(due):
            self._stop_if_wrong()
        if due[0]:
            self._log(done)
        if due[1]:
            self._validate(done)
        if due[2] or self._patience_is_over:
            self._save(done)
        if self._patience_is_over:
            self.trainer.should_stop = True

    def _stop_if_wrong(self) -> None:
        """Raise FloatingPointError before a state that is not finite, or in trouble, is saved."""
        several = self.trainer.world_size > 1
        # A loss may be infinite on one device only: the others must not wait for it in the next exchange.
        step = int(self._reduced(self._wrong, "max", torch.float64) if several else self._wrong)
        if step >= 0:
            raise FloatingPointError(
                f"The loss or its gradient is not finite at step {step}. {self._kept()} "
                "Lower --lr or --clip and give --resume, or look at the data of that step."
            )
        trouble = self.task.trouble()
        if trouble is not None:
            raise FloatingPointError(f"{trouble} {self._kept()}")

    def _log(self, done: int) -> None:
        reduced = {name: self._reduced(value, "mean") for name, value in self._figures.items()}
        if self.trainer.is_global_zero:
            with self.run.writing(self._kept()):
                self.run.train.append(done, {**reduced, "seconds": time.monotonic() - self._clock})
            self._track({f"train/{name}": value for name, value in reduced.items()}, done)
            shown = next((value for name, value in reduced.items() if name.startswith("loss")), float("nan"))
            self._bar.set_postfix_str(f"loss {shown:.4g}", refresh=False)

    def _validate(self, done: int) -> None:
        batches = self.task.validation()
        figures = self._measure(batches) if len(batches) else {}
        if self.trainer.is_global_zero:
            with self.run.writing(self._kept()):
                self.task.show(done, self.run.path)
                if figures:
                    self.run.validation.append(done, figures)
            self._track({f"validation/{name}": value for name, value in figures.items()}, done)
        self.task.train()
        if self.task.monitor is not None and figures:
            self._judge(done, figures[self.task.monitor])

    def _measure(self, batches: Sequence[Any]) -> dict[str, float]:
        self.task.eval()
        totals: dict[str, float] = {}
        with torch.no_grad(), self.trainer.precision_plugin.val_step_context():
            for index in range(self.trainer.global_rank, len(batches), self.trainer.world_size):
                sums = self.task.validate(self.trainer.strategy.batch_to_device(batches[index], self.device))
                for name, value in sums.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        return dict(self.task.figures(self._summed(totals)))

    def _summed(self, totals: dict[str, float]) -> dict[str, float]:
        """Sum over all processes in float64; all but the first may have had no held-out batch."""
        if self.trainer.world_size == 1:
            return totals
        names = self.trainer.strategy.broadcast(list(totals))
        return {name: self._reduced(totals.get(name, 0.0), "sum", torch.float64) for name in names}

    def _reduced(self, value: float | Tensor, how: str, dtype: torch.dtype = torch.float32) -> float:
        """Reduce a value over all processes to its mean, sum or maximum ("max"), in `dtype`."""
        here = torch.as_tensor(value, dtype=dtype, device=self.device).detach().clone()
        return float(self.trainer.strategy.reduce(here, reduce_op=how))

    def _judge(self, done: int, value: float) -> None:
        """Save the weights if they are the best so far, else count the validation."""
        if value < self.best:
            self.best, self.without_gain = value, 0
            if self.trainer.is_global_zero:
                self.run.save("best.ckpt", {"step": done, "task": self.task.state_dict()}, self._kept())
        else:
            self.without_gain += 1

    @property
    def _patience_is_over(self) -> bool:
        return self.settings.patience is not None and self.without_gain >= self.settings.patience

    def _save(self, done: int) -> None:
        if not self.trainer.is_global_zero:
            return
        states = {n: o.state_dict() for n, o in zip(self._parts, self.trainer.optimizers, strict=True)}
        progress = {"step": done, "best": self.best, "without_gain": self.without_gain}
        state = {"identity": dict(self.task.identity()), "task": self.task.state_dict(), "optimizers": states}
        self.run.save("last.ckpt", {**progress, **state}, self._kept())
        if self._done_at(done) or time.monotonic() - self._drawn > _SECONDS_BETWEEN_PICTURES:
            self._drawn = time.monotonic()
            with self.run.writing(self._kept()):
                draw_curves(self.run)

    def _kept(self) -> str:
        path = self.run.path / "last.ckpt"
        return f"{path} holds the last good state." if path.is_file() else "There is no checkpoint yet."

    def _track(self, figures: dict[str, float], done: int) -> None:
        for tracker in self.trainer.loggers:
            tracker.log_metrics(figures, done)

    def on_train_end(self) -> None:
        """Close the progress bar."""
        self._bar.close()


class _Steps(Dataset):
    """Batches of each step, by number, so that the position in the data is the step."""

    def __init__(self, task: Task, seed: int, steps: range, numbers: range) -> None:
        self.task, self.seed, self.steps, self.numbers = task, seed, steps, numbers

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> tuple[int, list[tuple[int, Any]]]:
        step = self.steps[index]
        draws = ((n, generator(self.seed, step, 3 * n + _BATCH)) for n in self.numbers)
        return step, [(n, self.task.batch_at(step, n, draw)) for n, draw in draws]

    def __iter__(self) -> Iterator[tuple[int, list[tuple[int, Any]]]]:
        return (self[i] for i in range(len(self)))


def _fixed(part: ParameterGroup) -> tuple[list[nn.Parameter], Any]:
    return list(part.parameters), part.optimization


def _loss_name(part: str, several: bool) -> str:
    return f"loss_{part}" if several else "loss"
