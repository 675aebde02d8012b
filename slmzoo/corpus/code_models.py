"""Codec of a job of codes, and the choice between jobs of codes and of units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from slmcore.batching import batches
from slmcore.units import Codes
from slmzoo import hub
from slmzoo.corpus.models import DTYPES, Coder, Models, Settings, digests_of

__all__ = ["CodeModels", "coder_of"]


class CodeModels:
    """Codec, loaded on first use: wavs to codes of all levels."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def codec(self) -> Any:
        """The codec, on the device."""
        codec: Any = hub.codec(variant=self.settings.variant, **self.settings.source)
        return codec.to(self.settings.device, DTYPES[self.settings.dtype])

    @property
    def sample_rate(self) -> int:
        """Sample rate of the codec's input, Hz."""
        return self.codec.sample_rate

    @property
    def batch_seconds(self) -> float:
        """Largest amount of audio per batch."""
        return self.settings.usual_batch_seconds

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Group wavs into batches by their numbers of samples."""
        return list(batches(lengths, self.batch_seconds * self.sample_rate))

    @torch.no_grad()
    def units(self, wavs: Sequence[Tensor]) -> list[list[Codes]]:
        """Encode wavs (1, samples) at the codec's rate: one list with the codes of each wav."""
        if hasattr(self.codec, "encode_batch"):
            return [self.codec.encode_batch(wavs, self.sample_rate)]
        return [[self.codec.encode_wav(wav, self.sample_rate) for wav in wavs]]

    def provenance(self, known: Iterable[Mapping[str, str]] = ()) -> list[dict[str, str]]:
        """Return the provenance of the codes for `slmcore.shards`.

        `known`: an earlier result, which spares loading the codec for its rate and sizes.
        """
        where = hub.Source(**self.settings.source)
        digests = digests_of(where, hub.Choice(variant=self.settings.variant), "codec")
        before = next((made for made in known if made.get("codec_sha256") == digests.get("codec_sha256")), None)
        facts = {name: before[name] for name in ("frame_rate", "codebook_sizes")} if before else self._facts()
        made = {**self.settings.making, **digests, **facts, "zoo": self.settings.zoo}
        return [dict(sorted(made.items()))]

    def _facts(self) -> dict[str, str]:
        sizes = [self.codec.num_codes] * self.codec.num_codebooks
        return {"frame_rate": repr(float(self.codec.frame_rate)), "codebook_sizes": json.dumps(sizes)}


def coder_of(settings: Settings) -> Coder:
    """Return the models of a job of units or of codes."""
    return CodeModels(settings) if settings.codes else Models(settings)
