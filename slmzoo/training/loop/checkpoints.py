"""Checks and loading of a run folder's checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from slmcore.errors import CheckpointError, must
from slmzoo.training.loop.task import Task

__all__ = ["check_progress", "load_task"]


def load_task(task: Task, state: dict[str, Tensor], what: str) -> None:
    """Load a task's state from a checkpoint; a CheckpointError names `what` if it does not fit."""
    try:
        task.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        raise CheckpointError(f"{what} is of another model: {' '.join(lines)} Use the settings of its run.") from error


def check_progress(task: Task, saved: Mapping[str, Any], optimizers: list[str], steps: int, what: str) -> None:
    """Raise for a checkpoint from which a task with these optimisers cannot resume up to `steps` steps.

    CheckpointError for other optimisers or another identity, ValueError for one beyond `steps`.
    """
    if list(saved["optimizers"]) != optimizers:
        raise CheckpointError(f"{what} has optimisers for {list(saved['optimizers'])}.")
    if saved["step"] > steps:
        wanted = f"at least {saved['step']}, the steps already done in {what}"
        raise ValueError(must("steps", wanted, steps, "Give --overwrite to start anew."))
    now = task.identity()
    other = {name: value for name, value in saved.get("identity", {}).items() if value != now.get(name)}
    if other:
        asked = {name: now.get(name) for name in other}
        raise CheckpointError(f"{what} is of another model: it has {other}, not {asked}. Use the settings of its run.")
