"""The demo's unit vocoder, of the reference voice: units directly to speech, in place of ELLA-V and codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import made_at, of_the_reference, run_options
from slmzoo.training.tasks.vocoder import VocoderSettings, train

__all__ = ["make"]

_SIZES: dict[str, Any] = {
    "dim": 96, "channels": 192, "rates": (8, 5, 4, 2), "block_kernels": (3, 7), "dilations": (1, 3, 5),
    "duration_width": 96,
}  # fmt: skip
"""1.3 million parameters; about 50 times real time on two cores."""
_RATE: dict[str, Any] = {
    "steps": 20_000, "batch": 8, "lr": 5e-4, "schedule": "cosine", "warmup": 200, "precision": "bf16",
    "held_out": 20, "validate_every": 2500, "save_every": 500,
}  # fmt: skip
# On two cores a step takes 0.4 s without discriminators, 1.1 s with those of an eighth of the published width.
_LOSSES: dict[str, Any] = {"discriminator_from": 12_000, "discriminator_width": 4, "duration_dropout": 0.1}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train from units to speech; `changes` are settings other than the demo's."""
    where = {**run_options(runs, "vocoder"), **of_the_reference(data, runs), **made_at(runs)}
    train(VocoderSettings(**where, **{**_SIZES, **_RATE, **_LOSSES, **changes}))
