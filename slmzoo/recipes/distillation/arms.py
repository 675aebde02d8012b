"""Arms of the experiment: one codec in four ways, with and without a teacher, each with several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmcore.files.zoofile import rows_of_file
from slmzoo.training.tasks.soundstream import SoundStreamSettings, train
from soundstream import SoundStream, load

__all__ = ["ARMS", "Size", "trained"]

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "A": ("no distillation", {}),
    "B": ("level 1 of one quantiser", {"teacher": "demo"}),
    "C": ("level 1 of a split quantiser", {"teacher": "demo", "semantic": True}),
    "D": ("latents", {"teacher": "demo", "distil": "latents"}),
}
"""Target of the distillation in each arm, and the options that differ."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of the codecs and of their training."""

    steps: int
    batch: int
    crop: int
    """Samples, a multiple of 320."""
    n_filters: int = 8
    dimension: int = 32
    codebook_size: int = 256
    num_codebooks: int = 4


def trained(arm: str, seed: int, size: Size, audio: Path, validation: Path, runs: Path) -> SoundStream:
    """Train the codec of an arm, or resume its training, and return it.

    All arms have the same sizes but for the quantiser's projections, and the same data, order and steps. All losses but
    the distillation have the same weight.
    """
    run = runs / f"{arm}-{seed}"
    # A split quantiser needs projections: all arms have them, so that they are no confound.
    sizes = {
        "sample_rate": 16_000,
        "strides": (2, 4, 5, 8),
        "lstm_layers": 0,
        "quantizer_dimension": size.dimension // 2,
    }
    same = {name: getattr(size, name) for name in ("n_filters", "dimension", "codebook_size", "num_codebooks")}
    rate = {
        "steps": size.steps,
        "batch": size.batch,
        "crop": size.crop,
        "lr": 1e-3,
        "warmup": min(200, size.steps // 4),
    }
    shown = {"validate_every": max(1, size.steps // 4), "save_every": max(1, size.steps // 10), "held_out": 8}
    losses = {"discriminators": (), "quantizer_dropout": 0.5, "unquantised_share": 0.5, "waveform": 10.0}
    options: dict[str, Any] = {**sizes, **same, **rate, **shown, **losses, **ARMS[arm][1]}
    train(SoundStreamSettings(
        run=run, resume=True, seed=seed, audio=[str(audio)], validation=[str(validation)], device="cpu",
        statistics_crops=64, gain=1.0, samples=1, **options,
    ))  # fmt: skip
    return load(rows_of_file(run / "zoo.json")[0].url)
