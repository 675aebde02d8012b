"""Speakers drawn at random: mixtures of Kokoro's voices, with a speed, a pitch and formants of their own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from torch import Tensor

from slmcore import audio
from slmzoo.recipes.speech.kokoro import SAMPLE_RATE, VOICES, Kokoro

__all__ = ["Speaker", "speaker"]

_CONCENTRATION = 0.6
"""Concentration of the Dirichlet distribution of mixtures: below 1, one or two voices dominate most."""
_EXTRAPOLATION = 0.08
"""Standard deviation of the noise on each weight, by which speakers also lie outside the five voices' hull. At 0.35
whole sentences are lost."""
_SHIFT = (0.9, 1.12)
_SPEED = (0.85, 1.15)


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A synthetic speaker."""

    name: str
    mixture: dict[str, float]
    """Weights of the voices; they sum to 1."""
    speed: float
    """Rate of speech relative to the voices' own."""
    shift: float
    """Factor of pitch and formants, like a shorter (> 1) or longer vocal tract."""

    def speak(self, model: Kokoro, phones: str, rate: int) -> Tensor:
        """Synthesise phonemes at `rate` Hz, float32 (1, samples)."""
        # Resampling by `shift` raises the voice; it is synthesised that much more slowly before.
        wav = model.speak(phones, self.mixture, self.speed / self.shift)
        return audio.resample(wav, round(SAMPLE_RATE * self.shift), rate)


def speaker(name: str, seed: int = 7) -> Speaker:
    """Draw the speaker of a name, the same one for equal names."""
    rng = random.Random(f"{seed} {name}")
    drawn = [rng.gammavariate(_CONCENTRATION, 1) for _ in VOICES]
    weights = [x / sum(drawn) + rng.gauss(0, _EXTRAPOLATION) for x in drawn]
    mixture = {voice: weight / sum(weights) for voice, weight in zip(VOICES, weights, strict=True)}
    return Speaker(name=name, mixture=mixture, speed=rng.uniform(*_SPEED), shift=rng.uniform(*_SHIFT))
