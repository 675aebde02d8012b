"""Speaker similarity by a speaker verification model of transformers, chosen by name."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from slmcore import audio
from slmzoo.evaluation.optional import need

__all__ = ["SpeakerModel", "similarity", "speaker_model"]

_SAMPLE_RATE = 16000


class SpeakerModel:
    """Speech to a vector that says whose voice it is."""

    def __init__(self, extractor: Any, model: Any) -> None:
        self.extractor, self.model = extractor, model

    @torch.no_grad()
    def embed(self, wav: Tensor, sr: int) -> Tensor:
        """The x-vector of mono speech (1, samples) at `sr` Hz, of length one: float32 (dim,), on the CPU."""
        audio.check(wav, sr, "wav")
        samples = audio.resample(wav, sr, _SAMPLE_RATE)[0].cpu().numpy()
        inputs = self.extractor(samples, sampling_rate=_SAMPLE_RATE, return_tensors="pt")
        found = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        return torch.nn.functional.normalize(found.embeddings[0].float().cpu(), dim=0)


@cache
def speaker_model(name: str = "microsoft/wavlm-base-plus-sv", device: str = "cpu") -> SpeakerModel:
    """A model of transformers with an x-vector head, on its hub or in a folder.

    Raises ImportError without transformers, OSError or ValueError for a model that is not there.
    """
    transformers = need("transformers", f"The speaker model {name}", "pip install 'slmzoo[transformers]'")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(name)
    model = transformers.AutoModelForAudioXVector.from_pretrained(name)
    return SpeakerModel(extractor, model.to(device).eval())


def similarity(a: Tensor, b: Tensor) -> float:
    """Cosine of two vectors (dim,), -1..1."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))
