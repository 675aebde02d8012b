"""`slmzoo convert-voice`: content of one recording, timbre of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slmcore import audio
from slmcore.units import Codes
from slmzoo import hub
from slmzoo.commands.common import FilesCommand
from slmzoo.commands.options.speech import ConvertVoiceOptions
from slmzoo.commands.speech.writing import free_name
from slmzoo.commands.waiting import waiting

__all__ = ["ConvertVoice"]


@dataclass(frozen=True, kw_only=True)
class ConvertVoice(ConvertVoiceOptions, FilesCommand):
    """Conversion of each input to the voice of `like`, as a wav."""

    def run(self) -> int:
        """Convert each input."""
        codec = self._codec()
        wav, rate = audio.load(self.like)
        audio.check_audible(wav, str(self.like), rate)
        voice = codec.encode_wav(audio.mono(wav), rate)
        self.out.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()
        return self.for_each(
            lambda path, wav, rate: self._convert(codec, voice, free_name(path.stem, taken), wav, rate)
        )

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a file: the wav in the other voice."""
        return f"{row['file']}: in the voice of {row['like']} as {row['wav']} ({row['seconds']:.1f} s)"

    def _codec(self) -> Any:
        with waiting(f"loading models of the zoo {self.zoo}"):
            codec: Any = hub.codec(zoo=self.zoo, registry=self.registry, variant=self.variant)
        if not hasattr(codec, "convert"):
            name = type(codec).__name__
            raise ValueError(f"{name} does not keep content and timbre apart. Use --zoo speechtokenizer.")
        return codec.to(self.chosen_device(), getattr(torch, self.dtype))

    def _convert(self, codec: Any, voice: Codes, stem: str, wav: Tensor, rate: int) -> dict[str, Any]:
        made = codec.convert(codec.encode_wav(audio.mono(wav), rate), voice)
        target = self.out / f"{stem}.wav"
        clipped = audio.write(target, made, codec.sample_rate)
        seconds = round(made.shape[1] / codec.sample_rate, 3)
        about = {"wav": str(target), "seconds": seconds, "sample_rate": codec.sample_rate}
        return {"like": str(self.like), **about, "clipped_samples": clipped}
