"""`slmzoo score`: log-likelihood of speech."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from slmcore.roles import UnitLanguageModel, scores_first
from slmcore.units import Units
from slmzoo.commands.common import AudioCommand, DecodingCommand, point_of
from slmzoo.commands.options.speech import ScoreOptions

__all__ = ["Score"]


_SCORED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Score(ScoreOptions, AudioCommand, DecodingCommand):
    """Log-likelihood of speech under the unit language model."""

    def run(self) -> int:
        """Write the log-likelihood of each input."""
        pipeline = self.pipeline("quantizer", "language_model", with_speech=False)
        ulm = cast("UnitLanguageModel", pipeline.ulm)

        def score(made: list[Units]) -> list[dict[str, Any]]:
            values = pipeline.loglikelihoods(made, self.reduction)
            convention = {"reduction": self.reduction, "bos": scores_first(ulm), "eos": False}
            rows = zip(made, values, strict=True)
            return [{"loglikelihood": v, "num_units": len(u), **convention, **point_of(u)} for u, v in rows]

        return self.for_each(lambda _path, wav, rate: pipeline.units(wav, rate), score, _SCORED_AT_ONCE)

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a file: its log-likelihood."""
        value, length = row["loglikelihood"], row["num_units"]
        if self.reduction == "mean":
            return f"{row['file']}: {value:.3f} nats per unit ({length} units)"
        return f"{row['file']}: {value:.1f} nats, {value / length:.3f} per unit ({length} units)"
