"""`slmzoo resynth`: resynthesis of speech from its units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slmzoo.commands.common import describe
from slmzoo.commands.options.speech import ResynthOptions
from slmzoo.commands.speech.writing import SpeechCommand, lengths_of
from slmzoo.figures import units_figure
from slmzoo.pipeline import Pipeline

__all__ = ["Resynth"]


@dataclass(frozen=True, kw_only=True)
class Resynth(ResynthOptions, SpeechCommand):
    """Resynthesis: wavs, and a figure of each."""

    def run(self) -> int:
        """Resynthesise each input."""
        pipeline = self.pipeline()
        return self.each_named(lambda stem, wav, rate: self._resynthesize(pipeline, stem, wav, rate))

    def _resynthesize(self, pipeline: Pipeline, stem: str, wav: Tensor, rate: int) -> dict[str, Any]:
        units = pipeline.units(wav, rate) if pipeline.quantizer is not None else None
        short = pipeline.synthesizer is None or pipeline.is_short(wav, rate)
        spoken = pipeline.resynthesize(
            wav,
            rate,
            self.num_samples,
            temperature=self.temperature,
            top_p=self.top_p,
            max_codec_tokens_per_phone=self.max_codec_tokens_per_phone,
            seed=self.seed,
            units=units if short else None,
            keep_durations=self.keep_durations,
        )
        figure = self.out / f"{stem}.png"
        units_figure(wav, rate, units, (spoken[0].wav.cpu(), spoken[0].sample_rate), figure)
        scored = units is not None and pipeline.ulm is not None
        likelihood = {"figure": str(figure), "loglikelihood": pipeline.loglikelihood(units) if scored else None}
        return {**self.write(stem, spoken), **likelihood, **(describe(units) if units is not None else {})}

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a file, with the path of its figure."""
        return f"{row['file']}: resynthesised as {lengths_of(row)}; picture: {row['figure']}"
