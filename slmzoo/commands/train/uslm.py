"""`slmzoo train uslm`: text to speech over the codes of a codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import uslm

__all__ = ["train_uslm"]


def train_uslm(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a USLM. Options: those of `UslmSettings`."""
    settings = uslm.UslmSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [uslm.train(its)])
