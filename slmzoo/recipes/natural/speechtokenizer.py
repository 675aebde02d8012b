"""The demo's SpeechTokenizer, of all voices, and the same codec without distillation beside it, for comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import speechtokenizer
from slmcore.files import registry
from slmzoo.recipes.demo.common import write_report
from slmzoo.recipes.demo.measure_levels import measure
from slmzoo.recipes.demo.speechtokenizer import ARMS, settings
from slmzoo.recipes.mini import benchmark
from slmzoo.recipes.natural.common import ZOO, made_at, run_options
from slmzoo.training.tasks.speechtokenizer import train

__all__ = ["compare", "make"]

_RATE: dict[str, Any] = {"steps": 30_000, "discriminator_from": 22_000}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train both codecs, and measure the content of level 1; `changes` are settings other than the demo's.

    The distilled one becomes a row of the runs' zoo, the other one of a zoo of its own.
    """
    held_out = [str(data / "wavs" / "dev")]
    for arm, folder in ARMS.items():
        taught = {"teacher": ZOO, "teacher_layer": str(made_at(runs)["layer"])} if arm == "distilled" else {}
        where = {**run_options(runs, folder), "validation": held_out, "registry": _registry(runs, arm)}
        train(replace(settings(data, runs / folder), **where, **taught, **{**_RATE, **changes}))
    compare(runs)


def compare(runs: Path, most: int | None = None) -> None:
    """Write the figures of `measure_levels` for both codecs to `speechtokenizer.json`; `most`: sentences of a kind."""
    mini = benchmark.make(runs / "levels" / "data", most)
    rows = {arm: registry.find("speechtokenizer", zoo=ZOO, registry=_registry(runs, arm)) for arm in ARMS}
    found = {arm: measure(speechtokenizer.load(row.url), mini, runs / "levels" / arm) for arm, row in rows.items()}
    write_report(runs / "speechtokenizer.json", found)


def _registry(runs: Path, arm: str) -> Path:
    return runs / "zoo.json" if arm == "distilled" else runs / ARMS[arm] / "zoo.json"
