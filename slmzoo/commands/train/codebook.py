"""`slmzoo train codebook`: codebooks of an encoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from slmzoo.commands.train.training import Training
from slmzoo.training.tasks import codebook

__all__ = ["train_codebook"]


def train_codebook(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Training of codebooks, with the options of `CodebookSettings`."""
    settings = codebook.CodebookSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [*map(asdict, codebook.train(its))])
