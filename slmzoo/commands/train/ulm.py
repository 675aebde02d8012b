"""`slmzoo train ulm`: a unit language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import ulm

__all__ = ["train_ulm"]


def train_ulm(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Training of a unit language model, with the options of `UlmSettings`."""
    settings = ulm.UlmSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda chosen: [ulm.train(chosen)])
