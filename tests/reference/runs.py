"""Runs of training: their logs, runs that are killed, and what two runs ended with."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import Task


def figures(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's log, without the seconds."""
    with (run / "train.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def fit_until_killed(task: Task, settings: TrainSettings, method: str, killed: Callable[..., bool]) -> None:
    """Fit until `method` of the task is called with arguments for which `killed` is true."""
    reached = getattr(task, method)

    def dies(*arguments: Any) -> Any:
        if killed(*arguments):
            raise KeyboardInterrupt
        return reached(*arguments)

    setattr(task, method, dies)
    with pytest.raises(BaseException):  # noqa: B017 (Lightning has its own way to end on an interrupt)
        fit(task, settings, Run.open(settings))


def step_of(run: Path) -> int:
    """Return the step of a run's last checkpoint."""
    return torch.load(run / "last.ckpt", weights_only=True)["step"]


def equal_ends(one: Path, other: Path, parts: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """Hold two runs' last checkpoints, and the optimisers of `parts`, to be equal; the state of the task."""
    ends = [torch.load(run / "last.ckpt", weights_only=True) for run in (one, other)]
    assert ends[0]["task"].keys() == ends[1]["task"].keys()
    assert all(torch.equal(value, ends[1]["task"][name]) for name, value in ends[0]["task"].items())
    for part in parts:
        states = [end["optimizers"][part]["state"] for end in ends]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][p][name], states[1][p][name]) for p in states[0] for name in states[0][p])
    return ends[0]["task"]
