"""The demo's codec, of one voice: learnt by spectra, its decoder then finished by discriminators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmcore.zoofile import rows_of_file
from slmzoo.recipes.demo.common import ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.codec import CodecSettings, train

__all__ = ["make"]


def make(data: Path, runs: Path) -> None:
    """Train on the reference voice, and write the demo's weights."""
    speech = {
        name: [str(data / "wavs" / split / REFERENCE)] for name, split in (("audio", "train"), ("validation", "test"))
    }
    size = {"sample_rate": 16_000, "strides": (5, 5, 4, 4), "n_filters": 8, "dimension": 32, "codebook_size": 512}
    decoder = {"decoder_dim": 192, "decoder_intermediate": 576, "decoder_layers": 8, "n_fft": 1600}
    common: dict[str, Any] = {**speech, **size, **decoder, "resume": True, "seed": 7, "batch": 10}
    common |= {"crop": 16_000, "start_crops": 128, "held_out": 20}
    # Encoder and codebook are final after 5000 steps: the decoder, which is smaller, has the rest for itself.
    phases: dict[str, Any] = {"quantize_from": 800, "freeze_front_from": 2800, "freeze_from": 5000}
    rate: dict[str, Any] = {"steps": 14_000, "lr": 1e-3, "last_lr": 2e-5, "warmup": 200, "betas": (0.9, 0.99)}
    train(CodecSettings(run=runs / "codec-spectra", validate_every=2000, **common, **phases, **rate))
    # With discriminators a step costs four times as much.
    judged: dict[str, Any] = {"judge_from": 0, "judge_width": 4, "freeze_from": 0, "betas": (0.8, 0.99)}
    judged |= {"steps": 1300, "lr": 4e-4, "last_lr": 2e-5, "warmup": 100, "validate_every": 650}
    start = next(row.url for row in rows_of_file(runs / "codec-spectra" / "zoo.json") if row.kind == "wavtokenizer")
    train(CodecSettings(run=runs / "codec", init=start, **common, **judged))
    ship(runs / "codec", "wavtokenizer.safetensors", steps=rate["steps"] + judged["steps"], voice=REFERENCE)
