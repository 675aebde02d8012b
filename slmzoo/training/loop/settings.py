"""Checked settings of training commands: of a run, and of training by gradient descent."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch

from slmcore.errors import must
from slmcore.files.registry import reserved_zoos
from slmzoo.training.options.run import RunOptions, TrainOptions

__all__ = ["RunSettings", "TrainSettings"]

_NOT_KEPT = frozenset({"config", "resume", "overwrite"})


@dataclass(frozen=True, kw_only=True)
class RunSettings(RunOptions):
    """Checked settings of a training run."""

    fixed: ClassVar[frozenset[str]] = frozenset({"seed"})
    """Options on which a run folder's content depends: `--resume` cannot change them."""
    of_the_result: ClassVar[frozenset[str]] = frozenset({"run", "zoo", "registry", "licence", "origin", "save_half"})
    """Options of where and under which name the result is published, which may change after training."""

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
        """Return the device for work outside Lightning. A ValueError if it is not available."""
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        name = next(name for name in there if there[name]) if self.device == "auto" else self.device
        if not there[name]:
            raise ValueError(must("device", f"one of {', '.join(n for n in there if there[n])} here", name))
        return torch.device(name)

    def kept(self) -> dict[str, Any]:
        """Return the options that define the run, as plain values; the run folder keeps them as YAML."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name not in _NOT_KEPT}


@dataclass(frozen=True, kw_only=True)
class TrainSettings(TrainOptions, RunSettings):
    """Checked settings of training by gradient descent."""

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
