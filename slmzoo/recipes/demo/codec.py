"""The demo's codec, of one voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.tasks.codec import CodecSettings, train

__all__ = ["make"]

_TAUGHT = 20_000


def make(data: Path, runs: Path) -> None:
    """Train on all sentences of the reference voice, and write the demo's weights."""
    training_set, held_out = (str(data / "wavs" / split / REFERENCE) for split in ("train", "test"))
    size = {"sample_rate": 16_000, "strides": (5, 5, 4, 4), "n_filters": 8, "dimension": 32, "codebook_size": 2048}
    decoder = {"decoder_dim": 192, "decoder_intermediate": 576, "decoder_layers": 8, "n_fft": 1600}
    # Through the decoder an encoder this small converges slowly: after hours reconstructions had 46 % word errors.
    phases: dict[str, Any] = {"encoder_only_until": _TAUGHT, "quantize_from": _TAUGHT, "freeze_from": _TAUGHT}
    rate: dict[str, Any] = {"steps": _TAUGHT + 33_000, "batch": 2, "lr": 1.5e-3, "last_lr": 2e-5, "warmup": 200}
    # Quantisation loses most: hence many codes, not most of them for loudness.
    codes = {"whitening": 0.5, "start_crops": 6000}
    objective: dict[str, Any] = {"crop": 32_000, "held_out": 20, "validate_every": 5000}
    run, options = runs / "codec", {**size, **decoder, **phases, **rate, **codes, **objective}
    train(CodecSettings(run=run, resume=True, seed=7, audio=[training_set], validation=[held_out], **options))
    ship(run, "wavtokenizer.safetensors", steps=rate["steps"], voice=REFERENCE)
