"""The demo's SpeechTokenizer, of all voices, and the same codec without distillation beside it.

1.2 million parameters, 2.4 MB in half precision. The report gives the effect of distillation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import speechtokenizer
from slmcore.files.zoofile import add_row
from slmzoo.recipes.demo.common import DEMO, demo_point, made, ship, write_report
from slmzoo.recipes.demo.measure_levels import measure
from slmzoo.recipes.mini import benchmark
from slmzoo.training.tasks.speechtokenizer import SpeechTokenizerSettings, train

__all__ = ["ARMS", "SIZE", "make", "settings"]

_KIND = "speechtokenizer"
ARMS = {"distilled": _KIND, "plain": f"{_KIND}-plain"}
"""Folders of the runs; the first is shipped."""
SIZE: dict[str, Any] = {
    "n_filters": 8,
    "dimension": 64,
    "lstm_layers": 1,
    "codebook_size": 512,
    "num_codebooks": 8,
}
"""Strides, levels and bit rate are those of the published codec: 50 frames per second of eight codes."""


def make(data: Path, runs: Path) -> None:
    """Train both codecs on all voices, write the demo's weights and their row, and measure the content of level 1."""
    layer = demo_point().layer
    taught: dict[str, Any] = {"teacher": "demo", "teacher_layer": None if layer is None else str(layer)}
    for arm, folder in ARMS.items():
        train(settings(data, runs / folder, **(taught if arm == "distilled" else {})))
    ship(runs / ARMS["distilled"], f"{_KIND}.safetensors")
    registry = DEMO / "zoo.json"
    add_row(registry, "demo", {"kind": _KIND, "file": f"{_KIND}.safetensors", "encoder": None, "frame_rate": 50.0})
    registry.with_name(f".{registry.name}.lock").unlink(missing_ok=True)
    compare(runs)


def compare(runs: Path) -> None:
    """Write the figures of `measure_levels` for both codecs to `speechtokenizer.json`."""
    mini = benchmark.make(runs / "levels" / "data")
    models = {arm: speechtokenizer.load(made(runs / folder, _KIND)) for arm, folder in ARMS.items()}
    found = {arm: measure(model, mini, runs / "levels" / arm) for arm, model in models.items()}
    write_report(runs / f"{_KIND}.json", found)


def settings(data: Path, run: Path, **teacher: Any) -> SpeechTokenizerSettings:
    """Return the settings of a run; `teacher`: options of distillation."""
    learnt, held_out = (str(data / "wavs" / split) for split in ("train", "test"))
    rate: dict[str, Any] = {"steps": 60_000, "batch": 4, "lr": 1e-3, "last_lr": 2e-5, "warmup": 500, "crop": 16_000}
    # The published discriminators cost many times as much as a codec this small; a narrow spectral one about as much.
    losses: dict[str, Any] = {
        "discriminators": ("multi-scale-stft",),
        "discriminator_width": 0.125,
        "discriminator_from": 40_000,
    }
    more: dict[str, Any] = {"start_crops": 256, "held_out": 20, "validate_every": 5000, "save_every": 500, "seed": 7}
    where = {"run": run, "resume": True, "audio": [learnt], "validation": [held_out]}
    return SpeechTokenizerSettings(**where, **SIZE, **rate, **losses, **more, **teacher)
