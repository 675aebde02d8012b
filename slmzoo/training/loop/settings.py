"""Settings of training commands, checked: the options of a run and of training by gradient descent."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch

from slmcore.errors import must
from slmcore.files.registry import reserved_zoos
from slmzoo.training.loop.task import Optimization
from slmzoo.training.options.run import RunOptions, TrainOptions

__all__ = ["RunSettings", "TrainSettings"]

_NOT_KEPT = frozenset({"config", "resume", "overwrite"})


@dataclass(frozen=True, kw_only=True)
class RunSettings(RunOptions):
    """The settings of a training run, checked."""

    fixed: ClassVar[frozenset[str]] = frozenset({"seed"})
    """Options that what a run folder holds was made with: `--resume` does not change them."""
    of_the_result: ClassVar[frozenset[str]] = frozenset({"run", "zoo", "registry", "licence", "origin", "save_half"})
    """Options that only say where the result goes and as what, which may change when nothing is left to train."""

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite contradict each other. Give one of them.")
        taken = reserved_zoos()
        if self.zoo in taken:
            raise ValueError(must("zoo", f"another name than {', '.join(sorted(taken))}, which are taken", self.zoo))
        _check(self, 0, "seed")

    @property
    def registry_file(self) -> Path:
        """Registry file for the model's row."""
        return self.run / "zoo.json" if self.registry is None else self.registry

    @property
    def torch_device(self) -> torch.device:
        """The device, for what does not go through Lightning. A ValueError if it is not there."""
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        name = next(name for name in there if there[name]) if self.device == "auto" else self.device
        if not there[name]:
            raise ValueError(must("device", f"one of {', '.join(n for n in there if there[n])} here", name))
        return torch.device(name)

    def kept(self) -> dict[str, Any]:
        """The options that say what the run is, as plain values; the run folder keeps them as YAML."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in _NOT_KEPT}


@dataclass(frozen=True, kw_only=True)
class TrainSettings(TrainOptions, RunSettings, Optimization):
    """The settings of training by gradient descent, checked."""

    fixed: ClassVar[frozenset[str]] = RunSettings.fixed | {"init"}

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("steps", "batch", "accumulate", "devices", "nodes", "log_every", "save_every")
        _check(self, 1, *counts, *(n for n in ("patience", "validate_every") if getattr(self, n) is not None))
        _check(self, 0, "warmup", "workers", "first_lr", "last_lr", "weight_decay")
        for name in ("lr", "eps", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(must(name, "a number > 0", getattr(self, name)))
        if self.accumulate % (self.devices * self.nodes):
            raise ValueError(
                must("accumulate", f"a multiple of all devices ({self.devices * self.nodes})", self.accumulate)
            )


def _check(settings: object, least: int, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and value >= least):
            raise ValueError(must(name, f"a number >= {least}", value))


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
