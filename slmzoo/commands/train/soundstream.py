"""`slmzoo train soundstream`: a codec with residual codebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import soundstream

__all__ = ["train_soundstream"]


def train_soundstream(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a SoundStream. Options: those of `SoundStreamSettings`."""
    settings = soundstream.SoundStreamSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [soundstream.train(its)])
