"""Speaker similarity by a speaker verification model of transformers, chosen by name, or by a stand-in for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from slmcore import audio
from slmzoo.evaluation.optional import need

__all__ = ["DEFAULT", "STAND_IN", "LongTermSpectrum", "SpeakerModel", "similarity", "speaker_model"]

DEFAULT = "microsoft/wavlm-base-plus-sv"
STAND_IN = "ltas"

_SAMPLE_RATE = 16000
_WINDOW, _BANDS, _FLOOR = 1024, 40, 1e-4


class SpeakerModel:
    """Speech to a speaker embedding."""

    def __init__(self, extractor: Any, model: Any) -> None:
        self.extractor, self.model = extractor, model

    @torch.no_grad()
    def embed(self, wav: Tensor, sr: int) -> Tensor:
        """Compute the unit-length x-vector of mono speech (1, samples) at `sr` Hz: float32 (dim,), on the CPU."""
        audio.check(wav, sr, "wav")
        samples = audio.resample(wav, sr, _SAMPLE_RATE)[0].cpu().numpy()
        inputs = self.extractor(samples, sampling_rate=_SAMPLE_RATE, return_tensors="pt")
        outputs = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        return torch.nn.functional.normalize(outputs.embeddings[0].float().cpu(), dim=0)


class LongTermSpectrum:
    """Stand-in for a speaker model: the long-term average spectrum, in mel bands of a logarithmic scale.

    The cosine of two is the correlation of the spectra's shapes. It tells voices in one channel apart, offline, but
    also channels of one voice: it is no measure of speaker identity, and is named as what it is.
    """

    def embed(self, wav: Tensor, sr: int) -> Tensor:
        """Compute the unit-length log-mel spectrum of mono speech (1, samples) at `sr` Hz, without its mean: float32
        (40,)."""
        audio.check(wav, sr, "wav")
        samples = audio.resample(wav, sr, _SAMPLE_RATE)[0].detach().float().cpu()
        samples = torch.nn.functional.pad(samples, (0, max(0, _WINDOW - len(samples))))
        frames = samples.unfold(0, _WINDOW, _WINDOW // 2) * torch.hann_window(_WINDOW)
        power = torch.fft.rfft(frames).abs().square()
        loud = power.sum(1) > _FLOOR * power.sum(1).max()
        bank = melscale_fbanks(_WINDOW // 2 + 1, 60.0, 7600.0, _BANDS, _SAMPLE_RATE)
        spectrum = (power[loud] @ bank).mean(0).clamp(min=1e-10).log() if bool(loud.any()) else torch.zeros(_BANDS)
        return torch.nn.functional.normalize(spectrum - spectrum.mean(), dim=0)


@cache
def speaker_model(name: str = DEFAULT, device: str = "cpu") -> SpeakerModel | LongTermSpectrum:
    """Load a model of transformers with an x-vector head, by name or folder; "ltas" is a stand-in without weights.

    Raises ImportError without transformers, OSError or ValueError for a missing model.
    """
    if name == STAND_IN:
        return LongTermSpectrum()
    transformers = need("transformers", f"The speaker model {name}", "pip install 'slmzoo[transformers]'")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(name)
    model = transformers.AutoModelForAudioXVector.from_pretrained(name)
    return SpeakerModel(extractor, model.to(device).eval())


def similarity(a: Tensor, b: Tensor) -> float:
    """Return the cosine of two vectors (dim,), -1..1."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))
