"""The demo's unit vocoder, of one voice: units directly to speech, in place of ELLA-V and codec.

1.3 million parameters, 2.6 MB in half precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmcore.files.zoofile import add_row
from slmcore.units import OperatingPoint
from slmzoo.recipes.demo.common import DEMO, demo_point, made_at, of_voice, ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.tasks.vocoder import VocoderSettings, train

__all__ = ["OPTIONS", "SIZE", "make"]

SIZE: dict[str, Any] = {
    "dim": 96,
    "channels": 192,
    "rates": (8, 5, 4, 2),
    "block_kernels": (3, 7),
    "dilations": (1, 3, 5),
    "duration_width": 96,
}
"""About 50 times real time on two cores."""
_RATE: dict[str, Any] = {"steps": 30_000, "batch": 8, "lr": 5e-4, "schedule": "cosine", "warmup": 200}
# On two cores a step takes 0.4 s without discriminators, 1.1 s with those of an eighth of the published width.
_LOSSES: dict[str, Any] = {"discriminator_from": 10_000, "discriminator_width": 4, "duration_dropout": 0.1}
_MORE: dict[str, Any] = {"held_out": 20, "validate_every": 2500, "save_every": 500}
OPTIONS: dict[str, Any] = {**SIZE, **_RATE, **_LOSSES, **_MORE}
"""Options of `slmzoo train vocoder`, without the places of data."""


def make(data: Path, runs: Path) -> None:
    """Train on all sentences of the reference voice, and write the demo's weights and their row."""
    point, run = demo_point(), runs / "vocoder"
    where = of_voice(REFERENCE, data / "units", data / "wavs", "test")
    train(VocoderSettings(run=run, resume=True, **where, **made_at(point), **OPTIONS))
    ship(run, "unit_hifigan.safetensors", steps=OPTIONS["steps"], voice=REFERENCE)
    _list(point)


def _list(point: OperatingPoint) -> None:
    """Add the row to the demo's registry."""
    registry = DEMO / "zoo.json"
    at = {name: getattr(point, name) for name in ("k", "lmbda", "num_neighbors", "layer")}
    add_row(registry, "demo", {"kind": "unit_hifigan", "file": "unit_hifigan.safetensors", **at})
    registry.with_name(f".{registry.name}.lock").unlink(missing_ok=True)
