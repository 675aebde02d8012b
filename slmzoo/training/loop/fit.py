"""Training of a task in a run folder, and publication of its weights in a registry."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from dataclasses import replace
from typing import Any

import torch

from slmcore.files.checkpoint import Checkpoint, save
from slmcore.files.rows import shown
from slmcore.files.zoofile import add_row
from slmzoo import __version__
from slmzoo.training.loop.checkpoints import load_task
from slmzoo.training.loop.run import Run, rank
from slmzoo.training.loop.settings import RunSettings, TrainSettings
from slmzoo.training.loop.task import Task

__all__ = ["fit", "provenance", "publish"]

logger = logging.getLogger(__name__)
_PLACES = ("run", "registry")


def fit(task: Task, settings: TrainSettings, run: Run) -> None:
    """Train for `settings.steps` steps, resuming the run folder; the task ends with its best or last weights.

    Raises FloatingPointError if a loss is not finite and OSError if the disk is full, both of which leave the last good
    checkpoint; CheckpointError for a checkpoint that is damaged or of another model; ValueError for one of more steps
    than `settings.steps`; ImportError that names what to install.
    """
    lightning = _lightning()
    from slmzoo.training.loop.module import Module

    module = Module(task, settings, run)
    module.restore()
    if not rank():
        run.resume(settings, module.start, module.done)
    if not module.done:
        for part in task.to_compile() if settings.compile else ():
            part.compile()
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(settings.device, settings.device),
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy=_strategy(settings, task),
            precision=_precision(settings),
            max_epochs=1,
            logger=_tracker(settings),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            default_root_dir=run.path,
        )
        with warnings.catch_warnings():
            # Lightning warns about numbers of workers and logging steps, which are deliberate here.
            warnings.filterwarnings("ignore", module="lightning")
            _uninterrupted(trainer, module)
    best = run.load("best.ckpt") if task.monitor is not None else None
    if best is not None:
        load_task(task, best["task"], str(run.path / "best.ckpt"))
    task.to("cpu").eval()


def publish(settings: RunSettings, checkpoint: Checkpoint, system: str | None = None, **row: Any) -> None:
    """Write the weights beside the registry, and their row, with the operating point of the model's units.

    `system`: that of a registry that is new. `row`: further fields of `slmcore.files.rows.Row`, such as `variant`,
    `sample_rate` (Hz) and `frame_rate` (Hz). A row of the same key is replaced. Only the first of several processes
    writes.
    """
    if rank():
        return
    point = None if checkpoint.operating_point is None else replace(checkpoint.operating_point, zoo=settings.zoo)
    known = {} if point is None else {n: getattr(point, n) for n in ("encoder", "layer", "k", "lmbda", "num_neighbors")}
    entry = {"kind": checkpoint.kind, **known, "licence": settings.licence, "origin": settings.origin, **row}
    entry = {name: value for name, value in entry.items() if value is not None}
    parts = [checkpoint.kind, entry.get("variant")]
    parts += [f"{name}{shown(entry[name])}" for name in ("k", "lmbda") if name in entry]
    file = "-".join(part for part in parts if part) + ".safetensors"
    folder = settings.registry_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / file, replace(checkpoint, operating_point=point), torch.float16 if settings.save_half else None)
    add_row(settings.registry_file, settings.zoo, {**entry, "file": file}, system)
    logger.info("%s is the %s of the zoo %r in %s", file, checkpoint.kind, settings.zoo, settings.registry_file)


def provenance(settings: RunSettings, command: str, **more: Any) -> dict[str, Any]:
    """Return the provenance of a model file: the command, its settings, the version, and the keywords given.

    The settings are those of the run folder, in effect for the last steps. `earlier` lists former settings of a resumed
    run, and until which step.
    """
    run = Run(settings.run)
    kept = {name: value for name, value in (run.settings() or settings.kept()).items() if name not in _PLACES}
    earlier = {"earlier": run.earlier()} if run.earlier() else {}
    return {"command": command, "settings": kept, **earlier, "slmzoo": __version__, **more}


def _lightning() -> Any:
    try:
        import lightning.pytorch as lightning
    except ImportError as error:
        raise ImportError(f"Training needs Lightning ({error}). Install it: pip install 'slmzoo[train]'.") from error
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return lightning


def _uninterrupted(trainer: Any, module: Any) -> None:
    """Fit, without Lightning's handling of a keyboard interrupt, which exits."""
    try:
        trainer.fit(module)
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _strategy(settings: TrainSettings, task: Task) -> str:
    resting = task.freezes or len(task.parts()) > 1
    return "ddp_find_unused_parameters_true" if resting and settings.devices * settings.nodes > 1 else "auto"


def _precision(settings: TrainSettings) -> Any:
    if settings.precision == "auto":
        cuda = settings.device in ("auto", "cuda") and torch.cuda.is_available()
        return "bf16-mixed" if cuda else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed"}[settings.precision]


def _tracker(settings: TrainSettings) -> Any:
    """Return Lightning's logger for TensorBoard or W&B; False for none."""
    if settings.logger == "none":
        return False
    if importlib.util.find_spec(settings.logger) is None:
        raise ImportError(
            f"--logger {settings.logger} needs the package {settings.logger}: pip install {settings.logger}."
        )
    from lightning.pytorch import loggers

    if settings.logger == "tensorboard":
        return loggers.TensorBoardLogger(settings.run, name=None, version="tensorboard")
    return loggers.WandbLogger(project=settings.zoo, name=settings.run.name, save_dir=settings.run, resume="allow")
