"""`slmzoo continue`: continuation of a prompt, or unconditional generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slmzoo.commands.options.speech import ContinueOptions
from slmzoo.commands.speech.writing import SpeechCommand, lengths_of
from slmzoo.pipeline import Pipeline

__all__ = ["Continue"]


@dataclass(frozen=True, kw_only=True)
class Continue(ContinueOptions, SpeechCommand):
    """Continuation by the language model of the beginning of each input, or unconditional generation."""

    def run(self) -> int:
        """Continue each input."""
        pipeline = self.pipeline("quantizer", "language_model", "synthesizer")
        if self.inputs:
            return self.each_named(lambda stem, wav, rate: self._continue(pipeline, stem, wav, rate))
        self.out.mkdir(parents=True, exist_ok=True)
        with self.results() as write:
            write({"file": None, **self._continue(pipeline, "from-nothing", None, None)})
        return 0

    def _continue(self, pipeline: Pipeline, stem: str, wav: Tensor | None, rate: int | None) -> dict[str, Any]:
        made = pipeline.continue_speech(
            wav,
            rate,
            self.prompt_seconds,
            max_new_units=self.max_new_units,
            num_samples=self.num_samples,
            joined=not self.drop_prompt,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed,
        )
        new = {"units": [m.units.tolist() for m in made], "ended": [m.finished for m in made]}
        return {**self.write(stem, [m.speech for m in made]), "prompt": made[0].prompt.tolist(), **new}

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a file, or of unconditional generation."""
        counts = " and ".join(str(len(units)) for units in row["units"])
        return f"{row['file'] or 'from nothing'}: {len(row['prompt'])} units continued by {counts}: {lengths_of(row)}"
