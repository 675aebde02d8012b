"""`slmzoo train codec`: a speech codec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import codec

__all__ = ["train_codec"]


def train_codec(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Training of a codec, with the options of `CodecSettings`."""
    settings = codec.CodecSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [codec.train(its)])
