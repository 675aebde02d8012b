"""What training commands take, from the command line or a YAML file of the same options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import yaml

from slmcore.errors import must
from slmcore.files.registry import reserved_zoos
from slmzoo.training.loop.task import Optimization

__all__ = ["RunSettings", "TrainSettings", "arguments_of_yaml", "options_of_yaml"]

_NOT_KEPT = frozenset({"config", "resume", "overwrite"})


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every training command takes."""

    fixed: ClassVar[frozenset[str]] = frozenset({"seed"})
    """Options that what a run folder holds was made with: `--resume` does not change them."""
    of_the_result: ClassVar[frozenset[str]] = frozenset({"run", "zoo", "registry", "licence", "origin", "half"})
    """Options that only say where the result goes and as what, which may change when nothing is left to train."""

    run: Path
    """Folder of the run: its settings, checkpoints, logs and curves. An existing one needs --resume or --overwrite."""
    config: Path | None = None
    """YAML file of options, named as here; what the command line says comes first. A run folder keeps its own."""
    resume: bool = False
    """Go on with the run in the folder, or begin it if there is none."""
    overwrite: bool = False
    """Remove the run in the folder first."""
    zoo: str = "mine"
    """Name of the zoo that the model becomes part of."""
    registry: Path | None = None
    """JSON file that gets the model's row, beside which its weights are written; RUN/zoo.json if left out. Several runs
    can share one."""
    licence: str = "not stated"
    """Licence of the weights, for the registry."""
    origin: str = "not stated"
    """Who made the weights and from what data, for the registry."""
    half: bool = False
    """Write the weights in half precision."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes what there is."""
    seed: int = 0
    """Seed of everything that is drawn at random."""

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite contradict each other. Give one of them.")
        taken = reserved_zoos()
        if self.zoo in taken:
            raise ValueError(must("zoo", f"another name than {', '.join(sorted(taken))}, which are taken", self.zoo))
        _check(self, 0, "seed")

    @property
    def registry_file(self) -> Path:
        """Where the model's row goes."""
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
class TrainSettings(RunSettings, Optimization):
    """What every command takes that trains by gradients."""

    fixed: ClassVar[frozenset[str]] = RunSettings.fixed | {"init"}

    init: str | None = None
    """Model file, published or of the project, whose weights are the start; of the same sizes as the options say."""
    batch: int
    """Items in a batch: what a device computes at once."""
    accumulate: int = 1
    """Batches in a step, shared out over the devices: a multiple of their number. A run is the same on any of these."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """Mixed bfloat16 or float32; auto takes bfloat16 on CUDA."""
    devices: int = 1
    """Devices a node."""
    nodes: int = 1
    """Nodes (machines)."""
    workers: int = 0
    """Processes that make batches; 0 makes them in the training process."""
    compile: bool = False
    """Compile the model with torch.compile: a slow start, then faster steps."""
    log_every: int = 20
    """Steps between rows of train.csv."""
    validate_every: int | None = 500
    """Steps between validations."""
    save_every: int = 500
    """Steps between checkpoints."""
    patience: int | None = None
    """Stop after so many validations in a row without improvement; never if left out."""
    track: Literal["none", "tensorboard", "wandb"] = "none"
    """Where figures go besides the CSV files."""

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


def arguments_of_yaml(arguments: Sequence[str]) -> list[str]:
    """Command line arguments in which the options of the YAML file behind `--config` come before all others.

    Later ones count, and what is unknown is refused, in a file as on the command line.
    """
    found = list(arguments)
    words = next((i for i, argument in enumerate(found) if argument.startswith("-")), len(found))
    for place, argument in enumerate(found):
        if argument.startswith("--config="):
            return [*found[:words], *options_of_yaml(Path(argument.partition("=")[2])), *found[words:]]
        if argument == "--config" and place + 1 < len(found):
            return [*found[:words], *options_of_yaml(Path(found[place + 1])), *found[words:]]
    return found


def options_of_yaml(path: Path) -> list[str]:
    """A YAML mapping as command line options; a ValueError if it is something else. null leaves an option out."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(must("config", "a YAML file of `option: value` lines", str(path)))
    options: list[str] = []
    for name, value in content.items():
        if isinstance(value, dict):
            raise ValueError(must(name, "a value or a list", value, f"It is in {path}."))
        if value is not None:
            values = value if isinstance(value, list) else [value]
            options += [f"--{name.replace('_', '-')}", *map(str, values)]
    return options


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
