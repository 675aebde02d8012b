"""`slmzoo units`, `score` and `resynth`: what the models make of speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from slmcore import audio
from slmcore.units import Units
from slmzoo.commands.common import AudioCommand
from slmzoo.figures import units_figure
from slmzoo.pipeline import Pipeline, Speech

__all__ = ["Resynth", "Score", "UnitsOf"]


@dataclass(frozen=True, kw_only=True)
class UnitsOf(AudioCommand):
    """Speech to discrete units with durations.

    A line holds: file, units, durations (frames), frame_rate (Hz), seconds, units_per_second, zoo, k, lmbda,
    num_neighbors.
    """

    def run(self) -> int:
        """Write the units of each input."""
        pipeline = self.pipeline(with_ulm=False, with_speech=False)
        return self.for_each(lambda _path, wav, rate: describe(pipeline.units(wav, rate)))


@dataclass(frozen=True, kw_only=True)
class Score(AudioCommand):
    """Log-likelihood of speech under the unit language model.

    A line holds: file, loglikelihood (nats), num_units, reduction, bos (whether BOS conditions the first unit), eos
    (whether an end is scored), zoo, k, lmbda, num_neighbors.
    """

    reduction: Literal["sum", "mean"] = "sum"
    """Sum over the units, or mean: units of unequal number are then comparable."""

    def run(self) -> int:
        """Write the log-likelihood of each input."""
        pipeline = self.pipeline(with_speech=False)

        def score(_path: Path, wav: Tensor, rate: int) -> dict[str, Any]:
            units = pipeline.units(wav, rate)
            value = pipeline.loglikelihood(units) / (len(units) if self.reduction == "mean" else 1)
            convention = {"num_units": len(units), "reduction": self.reduction, "bos": True, "eos": False}
            return {"loglikelihood": value, **convention, **_point(units)}

        return self.for_each(score)


@dataclass(frozen=True, kw_only=True)
class Resynth(AudioCommand):
    """Speech to units and back: wavs, and a picture of what became of the speech.

    A line holds: file, wavs, figure, seconds, resynthesis_seconds, finished (whether every unit was spoken),
    clipped_samples (each of these three with a value for each wav), loglikelihood (nats), and what `units` gives.
    """

    out: Path = Path("resynth-out")
    """Folder for the wavs and pictures."""
    num_samples: int = 1
    """Resyntheses of each input."""
    temperature: float = 1.0
    """Divides the logits of ELLA-V."""
    top_p: float = 0.8
    """Probability mass that is sampled from; 0 takes the likeliest token always."""
    max_codec_tokens_per_phone: int = 10
    """Longest a unit may last, in codec tokens."""

    def run(self) -> int:
        """Resynthesise each input."""
        pipeline = self.pipeline()
        self.out.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()

        def resynthesize(path: Path, wav: Tensor, rate: int) -> dict[str, Any]:
            stem = _free(path.stem, taken)
            return self._resynthesize(pipeline, stem, wav, rate)

        return self.for_each(resynthesize)

    def _resynthesize(self, pipeline: Pipeline, stem: str, wav: Tensor, rate: int) -> dict[str, Any]:
        units = pipeline.units(wav, rate)
        spoken = pipeline.resynthesize(
            wav,
            rate,
            self.num_samples,
            temperature=self.temperature,
            top_p=self.top_p,
            max_codec_tokens_per_phone=self.max_codec_tokens_per_phone,
            seed=self.seed,
        )
        wavs, clipped = self._write(stem, spoken)
        figure = self.out / f"{stem}.png"
        units_figure(wav, rate, units, (spoken[0].wav.cpu(), spoken[0].sample_rate), figure)
        return {
            "wavs": wavs,
            "figure": str(figure),
            "resynthesis_seconds": [round(speech.seconds, 3) for speech in spoken],
            "finished": [speech.finished for speech in spoken],
            "clipped_samples": clipped,
            "loglikelihood": pipeline.loglikelihood(units),
            **describe(units),
        }

    def _write(self, stem: str, spoken: list[Speech]) -> tuple[list[str], list[int]]:
        names = [f"{stem}.wav"] if len(spoken) == 1 else [f"{stem}-{i + 1}.wav" for i in range(len(spoken))]
        clipped = [audio.write(self.out / n, s.wav, s.sample_rate) for n, s in zip(names, spoken, strict=True)]
        return [str(self.out / name) for name in names], clipped


def describe(units: Units) -> dict[str, Any]:
    """Units as the fields of a result."""
    return {
        "units": units.units.tolist(),
        "durations": units.durations.tolist(),
        "frame_rate": units.frame_rate,
        "seconds": round(units.seconds, 3),
        "units_per_second": round(len(units) / units.seconds, 3),
        **_point(units),
    }


def _point(units: Units) -> dict[str, Any]:
    point = units.operating_point
    return {name: getattr(point, name, None) for name in ("zoo", "k", "lmbda", "num_neighbors")}


def _free(stem: str, taken: set[str]) -> str:
    """A name that no other input of this run has: talk, talk-2, ..."""
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    name = next(n for n in names if n not in taken)
    taken.add(name)
    return name
