"""Commands of `slmzoo train`, each of a task of `slmzoo.training.tasks`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from slmzoo.commands.results import ResultsCommand, number
from slmzoo.training.loop.run import rank

__all__ = [
    "Training",
    "train_codebook",
    "train_codec",
    "train_ellav",
    "train_encoder",
    "train_soundstream",
    "train_speechtokenizer",
    "train_ulm",
    "train_uslm",
    "train_vocoder",
]


@dataclass(frozen=True, kw_only=True)
class Training(ResultsCommand):
    """Training command; only the first of several processes writes results."""

    settings: Any
    train: Callable[[Any], Sequence[Mapping[str, Any]]]
    """Train by `settings`; return the figures reached."""

    def run(self) -> int:
        """Train."""
        reached = self.train(self.settings)
        if not rank():
            with self.results() as write:
                for row in reached:
                    write(row)
        return 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line: the model added, and its zoo."""
        shown = {n: number(value) for n, value in row.items() if n not in ("zoo", "kind") and value is not None}
        kind = row.get("kind", "codebook")
        return f"{kind} added to zoo {row['zoo']}: {', '.join(f'{name} {value}' for name, value in shown.items())}"


def _of_task(task: str, settings: str, *, json: bool, jsonl: Path | None, **options: Any) -> Training:
    """Import a task, and return its training with the options of its class of `settings`."""
    module = importlib.import_module(f"slmzoo.training.tasks.{task}")
    chosen = getattr(module, settings)(**options)
    return Training(json=json, jsonl=jsonl, settings=chosen, train=lambda its: _rows(module.train(its)))


def _rows(reached: Any) -> list[Mapping[str, Any]]:
    """Return a row for each model: the figures of one, or several operating points."""
    return [*map(asdict, reached)] if isinstance(reached, list) else [reached]


train_codebook = partial(_of_task, "codebook", "CodebookSettings")
train_codec = partial(_of_task, "codec", "CodecSettings")
train_ellav = partial(_of_task, "ellav", "EllavSettings")
train_encoder = partial(_of_task, "encoder", "EncoderSettings")
train_soundstream = partial(_of_task, "soundstream", "SoundStreamSettings")
train_speechtokenizer = partial(_of_task, "speechtokenizer", "SpeechTokenizerSettings")
train_ulm = partial(_of_task, "ulm", "UlmSettings")
train_uslm = partial(_of_task, "uslm", "UslmSettings")
train_vocoder = partial(_of_task, "vocoder", "VocoderSettings")
