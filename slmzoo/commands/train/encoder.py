"""`slmzoo train encoder`: a speech encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import encoder

__all__ = ["train_encoder"]


def train_encoder(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Training of an encoder, with the options of `EncoderSettings`."""
    settings = encoder.EncoderSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [encoder.train(its)])
