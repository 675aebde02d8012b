"""Samples of a training run: held-out recordings and what the model makes of them, as sound and as pictures."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from slmcore import audio
from slmcore.units import Units
from slmzoo.figures import units_figure

__all__ = ["write_sample"]


def write_sample(place: Path, step: int, name: str, wav: Tensor, made: Tensor, rate: int, units: Units) -> None:
    """Write a recording (1, samples) once, and for each step the model's version with a figure of both and the units.

    `place/<name>.wav` is the recording; `place/step-<step>/<name>.wav` and `.png` are of the step.
    """
    of_step = place / f"step-{step:07d}"
    of_step.mkdir(parents=True, exist_ok=True)
    if not (place / f"{name}.wav").exists():
        audio.write(place / f"{name}.wav", wav, rate)
    audio.write(of_step / f"{name}.wav", made, rate)
    units_figure(wav, rate, units, (made, rate), of_step / f"{name}.png")
