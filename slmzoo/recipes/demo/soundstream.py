"""The demo's streaming codec: `python -m slmzoo.recipes.demo --only soundstream`, of all voices of the corpus.

A causal SoundStream of 16 kHz and 50 frames per second with 8 levels of 512 codes (0.45 to 3.6 kb/s), whose first level
is distilled from the demo's encoder. Interrupted runs resume.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmzoo.recipes.demo.common import ship
from slmzoo.training.tasks.soundstream import SoundStreamSettings, train

__all__ = ["make", "settings"]

_STEPS = 60_000


def make(data: Path, runs: Path) -> None:
    """Train on the corpus and write the demo's weights, in half precision below 3 MB."""
    chosen = settings(data, runs)
    train(chosen)
    ship(chosen.run, "soundstream.safetensors", steps=_STEPS, voices="all of the corpus")


def settings(data: Path, runs: Path) -> SoundStreamSettings:
    """Return the settings of the run."""
    size: dict[str, Any] = {"sample_rate": 16_000, "n_filters": 12, "dimension": 64, "codebook_size": 512}
    # Attention over two seconds in place of the LSTMs, which are serial and have most of the published weights.
    attention = {"transformer_layers": 2, "transformer_heads": 4, "transformer_hidden": 256, "transformer_context": 100}
    rate: dict[str, Any] = {"steps": _STEPS, "batch": 4, "crop": 16_000, "lr": 1e-3, "last_lr": 2e-5, "warmup": 500}
    losses: dict[str, Any] = {"log_mel": 5.0, "waveform": 10.0, "quantizer_dropout": 0.5, "unquantised_share": 0.25}
    # Discriminators join late: on a CPU a step costs several times as much with them.
    adversary = {"discriminators": ("multi-scale-stft",), "discriminator_width": 0.25, "discriminator_from": 45_000}
    teacher = {"teacher": "demo", "distillation": 1.0}
    wavs = data / "wavs"
    return SoundStreamSettings(
        run=runs / "soundstream", resume=True, seed=7, audio=[str(wavs / "train")], validation=[str(wavs / "test")],
        causal=True, lstm_layers=0, gain=1.0, held_out=20, validate_every=5000, feature_matching=2.0,
        **size, **attention, **rate, **losses, **adversary, **teacher,
    )  # fmt: skip
