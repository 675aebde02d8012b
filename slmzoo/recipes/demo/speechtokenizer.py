"""The demo's SpeechTokenizer, of all voices, and the same codec without distillation beside it, for comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import speechtokenizer
from slmcore.files import registry
from slmzoo.recipes.demo.common import ZOO, run_options, write_report
from slmzoo.recipes.demo.measure_levels import measure
from slmzoo.recipes.mini import benchmark
from slmzoo.training.tasks.speechtokenizer import SpeechTokenizerSettings, train

__all__ = ["ARMS", "compare", "make"]

ARMS = {"distilled": "speechtokenizer", "plain": "speechtokenizer-plain"}
"""Folders of the runs; the first is shipped."""
_SIZES: dict[str, Any] = {
    "n_filters": 8, "dimension": 64, "lstm_layers": 1, "codebook_size": 512, "num_codebooks": 8, "start_crops": 256,
}  # fmt: skip
"""1.2 million parameters. Strides, levels and frame rate are those of the published codec."""
_RATE: dict[str, Any] = {
    "steps": 25_000, "batch": 4, "lr": 1e-3, "last_lr": 2e-5, "warmup": 500, "crop": 16_000, "held_out": 20,
    "validate_every": 5000, "save_every": 500,
}  # fmt: skip
# The published discriminators cost many times as much as a codec this small; a narrow spectral one about as much.
_LOSSES: dict[str, Any] = {
    "discriminators": ("multi-scale-stft",), "discriminator_width": 0.125, "discriminator_from": 22_000,
}  # fmt: skip


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train both codecs, and measure the content of level 1; `changes` are settings other than the demo's.

    The distilled one becomes a row of the runs' zoo, the other one of a zoo of its own.
    """
    learnt, held_out = ([str(data / "wavs" / split)] for split in ("train", "dev"))
    taught = {"teacher": ZOO}
    for arm, folder in ARMS.items():
        where = {**run_options(runs, folder), "registry": _registry(runs, arm), "audio": learnt, "validation": held_out}
        options = {**_SIZES, **_RATE, **_LOSSES, **(taught if arm == "distilled" else {}), **changes}
        train(SpeechTokenizerSettings(**where, **options))
    compare(runs)


def compare(runs: Path) -> None:
    """Write the figures of `measure_levels` for both codecs to `speechtokenizer.json`."""
    mini = benchmark.make(runs / "levels" / "data")
    rows = {arm: registry.find("speechtokenizer", zoo=ZOO, registry=_registry(runs, arm)) for arm in ARMS}
    figures = {arm: measure(speechtokenizer.load(row.url), mini, runs / "levels" / arm) for arm, row in rows.items()}
    write_report(runs / "speechtokenizer.json", figures)


def _registry(runs: Path, arm: str) -> Path:
    return runs / "zoo.json" if arm == "distilled" else runs / ARMS[arm] / "zoo.json"
