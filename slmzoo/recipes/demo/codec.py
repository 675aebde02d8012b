"""The demo's codec, of the reference voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import run_options
from slmzoo.recipes.speech.natural import REFERENCE
from slmzoo.training.tasks.codec import CodecSettings, train

__all__ = ["make"]

_TAUGHT = 15_000
_SIZES: dict[str, Any] = {
    "sample_rate": 16_000, "strides": (5, 5, 4, 4), "n_filters": 8, "dimension": 32, "codebook_size": 2048,
    "decoder_dim": 192, "decoder_intermediate": 576, "decoder_layers": 6, "n_fft": 1600,
}  # fmt: skip
# An encoder this small loses the words if trained through the decoder: it is first trained to predict spectra.
_PHASES: dict[str, Any] = {"encoder_only_until": _TAUGHT, "quantize_from": _TAUGHT, "freeze_from": _TAUGHT}
_RATE: dict[str, Any] = {"steps": _TAUGHT + 25_000, "batch": 2, "lr": 1.5e-3, "last_lr": 2e-5, "warmup": 200}
_CODES: dict[str, Any] = {"whitening": 0.5, "start_crops": 6000}
_OBJECTIVE: dict[str, Any] = {"crop": 32_000, "held_out": 20, "validate_every": 5000}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train on the reference voice; `changes` are settings other than the demo's."""
    learnt, held_out = (str(data / "wavs" / split / REFERENCE) for split in ("train", "dev"))
    options = {**_SIZES, **_PHASES, **_RATE, **_CODES, **_OBJECTIVE, **changes}
    train(CodecSettings(audio=[learnt], validation=[held_out], **run_options(runs, "codec"), **options))
