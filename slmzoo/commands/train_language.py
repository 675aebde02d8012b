"""`slmzoo train ulm` and `slmzoo train ellav`: the models over units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.training import Training
from slmzoo.training.tasks import ellav, ulm

__all__ = ["train_ellav", "train_ulm"]


def train_ulm(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a unit language model. Options: those of `UlmSettings`."""
    settings = ulm.UlmSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda chosen: [ulm.train(chosen)])


def train_ellav(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of an acoustic model. Options: those of `EllavSettings`."""
    settings = ellav.EllavSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda chosen: [ellav.train(chosen)])
