"""`slmzoo train encoder`, `codebook` and `codec`: models that learn from speech alone."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from slmzoo.commands.training import Training
from slmzoo.training.tasks import codebook, codec, encoder

__all__ = ["train_codebook", "train_codec", "train_encoder"]


def train_codebook(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of codebooks. Options: those of `CodebookSettings`."""
    settings = codebook.CodebookSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [*map(asdict, codebook.train(its))])


def train_codec(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of a codec. Options: those of `CodecSettings`."""
    settings = codec.CodecSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [codec.train(its)])


def train_encoder(json: bool, jsonl: Path | None, **options: Any) -> Training:
    """The training of an encoder. Options: those of `EncoderSettings`."""
    settings = encoder.EncoderSettings(**options)
    return Training(json=json, jsonl=jsonl, settings=settings, train=lambda its: [encoder.train(its)])
