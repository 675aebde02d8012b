"""The demo's codebook and operating point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ZOO, run_options
from slmzoo.recipes.demo.corpus import balanced_by_voice
from slmzoo.training.tasks.codebook import CodebookSettings, train

__all__ = ["make"]

_CODEBOOK: dict[str, Any] = {"layer": 5, "k": (200,), "frame_fraction": 0.05, "trials": 2, "batch": 16}
_RATE: dict[str, Any] = {"rate": 20.0, "num_neighbors": 20, "rated_files": 300}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Cluster the features of all speakers, and fit lambda; `changes` are settings other than the demo's."""
    heard = [str(file) for file in balanced_by_voice(data)]
    where = {**run_options(runs, "codebook"), "encoder_zoo": ZOO, "audio": heard}
    train(CodebookSettings(**{**where, **_CODEBOOK, **_RATE, **changes}))
