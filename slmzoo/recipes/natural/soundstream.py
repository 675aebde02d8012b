"""The demo's streaming codec, of all voices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.soundstream import settings
from slmzoo.recipes.natural.common import ZOO, run_options
from slmzoo.training.tasks.soundstream import train

__all__ = ["make"]


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train, distilled from the demo's encoder; `changes` are settings other than the demo's."""
    where = {**run_options(runs, "soundstream"), "validation": [str(data / "wavs" / "dev")], "teacher": ZOO}
    train(replace(settings(data, runs), **where, **changes))
