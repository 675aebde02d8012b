"""`slmzoo train vocoder`: a unit vocoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import vocoder

__all__ = ["train_vocoder"]


def train_vocoder(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a unit vocoder. Options: those of `VocoderSettings`."""
    settings = vocoder.VocoderSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda chosen: [vocoder.train(chosen)])
