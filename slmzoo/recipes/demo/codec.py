"""The demo's codec, of one voice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.codec import CodecSettings, train

__all__ = ["make"]

_TAUGHT = 20_000


def make(data: Path, runs: Path) -> None:
    """Train on the reference voice's first 5,000 sentences, and write the demo's weights."""
    learnt, held_out = (data / "wavs" / split / REFERENCE for split in ("train", "test"))
    speech = {"audio": [str(learnt / "train-0*.wav")], "validation": [str(held_out)]}
    size = {"sample_rate": 16_000, "strides": (5, 5, 4, 4), "n_filters": 8, "dimension": 32, "codebook_size": 512}
    decoder = {"decoder_dim": 192, "decoder_intermediate": 576, "decoder_layers": 8, "n_fft": 1600}
    # So small an encoder learns nothing useful through the decoder in hours: 46 % of the words of copies were wrong.
    # Codes of log-mel spectra themselves give 13 %.
    phases: dict[str, Any] = {"taught_until": _TAUGHT, "quantize_from": _TAUGHT, "freeze_from": _TAUGHT}
    rate: dict[str, Any] = {"steps": _TAUGHT + 15_000, "batch": 4, "lr": 1.5e-3, "last_lr": 2e-5, "warmup": 200}
    objective: dict[str, Any] = {"crop": 16_000, "start_crops": 1500, "held_out": 20, "validate_every": 5000}
    run, options = runs / "codec", {**speech, **size, **decoder, **phases, **rate, **objective}
    train(CodecSettings(run=run, resume=True, seed=7, **options))
    ship(run, "wavtokenizer.safetensors", steps=rate["steps"], voice=REFERENCE)
