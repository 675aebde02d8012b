"""Tacotron 2 and WaveGlow as GSLM's synthesiser."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gslm.tacotron import Spectrogram, Tacotron
from gslm.tacotron.codes import Inputs
from gslm.waveglow import WaveGlow
from slmcore.errors import must
from slmcore.layers.int8 import Scheme
from slmcore.roles import UnitSequence
from slmcore.speech import Speech
from slmcore.units import OperatingPoint

__all__ = ["TacotronWaveGlow"]


class TacotronWaveGlow(nn.Module):
    """Units to speech in one voice, by Tacotron 2 (arXiv 1712.05884) and WaveGlow (arXiv 1811.00002)."""

    longest_segment: float = 10.0
    """Seconds of speech that are synthesised in one segment: the longest utterances of LJ Speech, on which the
    published models were trained."""

    def __init__(self, tacotron: Tacotron, waveglow: WaveGlow) -> None:
        super().__init__()
        if tacotron.config.mels != waveglow.config.mels:
            found = f"a WaveGlow of {waveglow.config.mels}"
            raise ValueError(must("waveglow", f"of {tacotron.config.mels} mel bands, as the Tacotron is", found))
        self.tacotron, self.waveglow = tacotron, waveglow
        self.eval()

    @property
    def models(self) -> dict[str, Tacotron | WaveGlow]:
        """Models of the synthesiser, by the names of the constructor's arguments."""
        return {"tacotron": self.tacotron, "waveglow": self.waveglow}

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.waveglow.device

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Operating point of the units that it speaks."""
        return self.tacotron.operating_point

    @property
    def k(self) -> int:
        """Number of units."""
        return self.tacotron.k

    @property
    def frame_rate(self) -> float:
        """Frames per second of the units that it speaks."""
        return self.tacotron.config.frame_rate

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        return self.tacotron.config.sample_rate

    def quantize(self, scheme: Scheme) -> None:
        """Round the decoder of the Tacotron to int8, for CPUs; WaveGlow, whose flows add up errors, keeps its dtype."""
        self.tacotron.quantize(scheme)

    def speak(
        self,
        units: Sequence[UnitSequence],
        *,
        seed: int = 0,
        sigma: float = 0.666,
        denoising: float = 0.1,
        max_frames: int | None = None,
    ) -> list[Speech]:
        """Speak sequences of units, which may be empty; the speech of a sequence does not depend on its batch.

        `sigma`: standard deviation of WaveGlow's noise; `denoising`: strength of its denoiser; `max_frames`: most
        frames of 256 samples, None for the model's own limit. Durations are the model's. `Speech.finished`: every unit
        has an input id, and the model ended the speech itself.
        """
        inputs = [self.tacotron.codes.encode(sequence) for sequence in units]
        spoken = [number for number, each in enumerate(inputs) if len(each.ids)]
        made = self.tacotron([inputs[number].ids for number in spoken], seed=seed, max_frames=max_frames)
        found = dict(zip(spoken, made, strict=True))
        speech: list[Speech] = []
        for number, (sequence, each) in enumerate(zip(units, inputs, strict=True)):
            if number not in found:
                speech.append(self._silent(len(sequence), each.complete))
                continue
            spectrogram = found[number]
            options = {"sigma": sigma, "denoising": denoising}
            wav = self.waveglow.speak(spectrogram.mel, seed=seed, sequence=number, **options)
            speech.append(self._speech(wav, spectrogram, each, len(sequence)))
        return speech

    def _speech(self, wav: Tensor, spectrogram: Spectrogram, inputs: Inputs, units: int) -> Speech:
        durations = _durations(spectrogram.alignment.cpu(), inputs.sources, units)
        finished = spectrogram.finished and inputs.complete
        return Speech(wav[None], self.sample_rate, _no_codes(), finished, durations, self._mel_rate)

    def _silent(self, units: int, complete: bool) -> Speech:
        wav = torch.zeros(1, 0, device=self.device)
        return Speech(
            wav, self.sample_rate, _no_codes(), complete, torch.zeros(units, dtype=torch.int64), self._mel_rate
        )

    @property
    def _mel_rate(self) -> float:
        """Frames per second of the spectrogram."""
        return self.sample_rate / self.waveglow.config.hop


def _durations(alignment: Tensor, sources: Tensor, units: int) -> Tensor:
    """Return the frames of each unit, (units,), by a monotonic alignment read off the attention.

    `alignment` (frames, inputs); `sources` (inputs,): the unit of each input.
    """
    inputs = alignment.argmax(1).cummax(0).values
    counts = torch.bincount(inputs, minlength=len(sources))
    return torch.zeros(units, dtype=torch.int64).scatter_add(0, sources, counts)


def _no_codes() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)
