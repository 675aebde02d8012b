"""The demo's streaming codec, of all voices.

A causal SoundStream of 16 kHz and 50 frames per second with 8 levels of 512 codes (0.45 to 3.6 kb/s), whose first level
is distilled from the demo's encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ZOO, run_options
from slmzoo.training.tasks.soundstream import SoundStreamSettings, train

__all__ = ["make", "settings"]

# Attention over two seconds in place of the LSTMs, which are serial and have most of the published weights.
_SIZES: dict[str, Any] = {
    "sample_rate": 16_000, "causal": True, "n_filters": 12, "dimension": 64, "codebook_size": 512, "lstm_layers": 0,
    "transformer_layers": 2, "transformer_heads": 4, "transformer_hidden": 256, "transformer_context": 100,
}  # fmt: skip
_RATE: dict[str, Any] = {
    "steps": 60_000, "batch": 4, "crop": 16_000, "lr": 1e-3, "last_lr": 2e-5, "warmup": 500, "gain": 1.0,
    "held_out": 20, "validate_every": 5000,
}  # fmt: skip
# Discriminators join late: on a CPU a step costs several times as much with them.
_LOSSES: dict[str, Any] = {
    "log_mel": 5.0, "waveform": 10.0, "quantizer_dropout": 0.5, "unquantised_share": 0.25, "feature_matching": 2.0,
    "discriminators": ("multi-scale-stft",), "discriminator_width": 0.25, "discriminator_from": 45_000,
    "teacher": ZOO, "distillation": 1.0,
}  # fmt: skip


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Train, distilled from the demo's encoder; `changes` are settings other than the demo's."""
    train(settings(data, runs, **changes))


def settings(data: Path, runs: Path, **changes: Any) -> SoundStreamSettings:
    """Return the settings of the run; `changes` are those other than the demo's."""
    learnt, held_out = ([str(data / "wavs" / split)] for split in ("train", "dev"))
    options = {**_SIZES, **_RATE, **_LOSSES, **changes}
    return SoundStreamSettings(audio=learnt, validation=held_out, **run_options(runs, "soundstream"), **options)
