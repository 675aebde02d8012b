"""`slmzoo train ellav`: an acoustic model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import ellav

__all__ = ["train_ellav"]


def train_ellav(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Training of an acoustic model, with the options of `EllavSettings`."""
    settings = ellav.EllavSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda chosen: [ellav.train(chosen)])
