"""The demo's unit vocoder, of the reference voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.vocoder import OPTIONS
from slmzoo.recipes.natural.common import made_at, of_the_reference, run_options
from slmzoo.training.tasks.vocoder import VocoderSettings, train

__all__ = ["make"]


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train from units to speech; `changes` are settings other than the demo's."""
    where = {**run_options(runs, "vocoder"), **of_the_reference(data, runs), **made_at(runs)}
    train(VocoderSettings(**where, **{**OPTIONS, **changes}))
