"""`slmzoo train speechtokenizer`: a codec whose first level holds content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import speechtokenizer

__all__ = ["train_speechtokenizer"]


def train_speechtokenizer(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a SpeechTokenizer. Options: those of `SpeechTokenizerSettings`."""
    settings = speechtokenizer.SpeechTokenizerSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [speechtokenizer.train(its)])
