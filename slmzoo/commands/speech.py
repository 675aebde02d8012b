"""`slmzoo score`, `resynth` and `continue`: what the models make of speech."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from slmcore import audio
from slmcore.units import Units
from slmzoo.commands.common import AudioCommand, DecodingCommand, complain, describe, point_of
from slmzoo.commands.options.speech import ContinueOptions, ResynthOptions, ScoreOptions, SpeechOptions
from slmzoo.commands.waiting import waiting
from slmzoo.figures import units_figure
from slmzoo.pipeline import Pipeline, Speech

__all__ = ["Continue", "Resynth", "Score"]

_SCORED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Score(ScoreOptions, AudioCommand, DecodingCommand):
    """Log-likelihood of speech under the unit language model."""

    def run(self) -> int:
        """Write the log-likelihood of each input."""
        pipeline = self.pipeline("quantizer", "language_model", with_speech=False)

        def score(made: list[Units]) -> list[dict[str, Any]]:
            values = pipeline.loglikelihoods(made, self.reduction)
            convention = {"reduction": self.reduction, "bos": True, "eos": False}
            rows = zip(made, values, strict=True)
            return [{"loglikelihood": v, "num_units": len(u), **convention, **point_of(u)} for u, v in rows]

        return self.for_each(lambda _path, wav, rate: pipeline.units(wav, rate), score, _SCORED_AT_ONCE)

    def line(self, row: Mapping[str, Any]) -> str:
        """A file and its log-likelihood."""
        value, length = row["loglikelihood"], row["num_units"]
        if self.reduction == "mean":
            return f"{row['file']}: {value:.3f} nats per unit ({length} units)"
        return f"{row['file']}: {value:.1f} nats, {value / length:.3f} per unit ({length} units)"


@dataclass(frozen=True, kw_only=True)
class SpeechCommand(SpeechOptions, AudioCommand, DecodingCommand):
    """A command that writes speech."""

    def each_named(self, work: Callable[[str, Tensor, int], dict[str, Any]]) -> int:
        """As `for_each`, with a name for the files of each input in place of its path."""
        self.out.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()

        def one(path: Path, wav: Tensor, rate: int) -> dict[str, Any]:
            with waiting(f"synthesising {path.name} ({wav.shape[-1] / rate:.0f} s)"):
                return work(_free(path.stem, taken), wav, rate)

        return self.for_each(one)

    def write(self, stem: str, spoken: list[Speech]) -> dict[str, Any]:
        """Write the wavs: their names, seconds, and what is to be known of each."""
        names = [f"{stem}.wav"] if len(spoken) == 1 else [f"{stem}-{i + 1}.wav" for i in range(len(spoken))]
        clipped = [audio.write(self.out / n, s.wav, s.sample_rate) for n, s in zip(names, spoken, strict=True)]
        for name, speech in zip(names, spoken, strict=True):
            _tell_length(self.out / name, speech)
        return {
            "wavs": [str(self.out / name) for name in names],
            "wav_seconds": [round(speech.seconds, 3) for speech in spoken],
            "finished": [speech.finished for speech in spoken],
            "clipped_samples": clipped,
        }


@dataclass(frozen=True, kw_only=True)
class Resynth(ResynthOptions, SpeechCommand):
    """Speech to units and back: wavs, and a picture of each."""

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
        """What was made of a file, and where the picture is."""
        return f"{row['file']}: resynthesised as {_made(row)}; picture: {row['figure']}"


@dataclass(frozen=True, kw_only=True)
class Continue(ContinueOptions, SpeechCommand):
    """Speech continued by the language model from the beginning of each input, or from nothing."""

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
            joined=not self.alone,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=self.seed,
        )
        new = {"units": [m.units.tolist() for m in made], "ended": [m.finished for m in made]}
        return {**self.write(stem, [m.speech for m in made]), "prompt": made[0].prompt.tolist(), **new}

    def line(self, row: Mapping[str, Any]) -> str:
        """What was made of a file, or of nothing."""
        counts = " and ".join(str(len(units)) for units in row["units"])
        return f"{row['file'] or 'from nothing'}: {len(row['prompt'])} units continued by {counts}: {_made(row)}"


def _made(row: Mapping[str, Any]) -> str:
    """The wavs of a result with their lengths, and which of them are incomplete."""
    wavs = zip(row["wavs"], row["wav_seconds"], row["finished"], strict=True)
    told = {True: "", False: ", incomplete"}
    return ", ".join(f"{wav} ({seconds:.1f} s{told[whole]})" for wav, seconds, whole in wavs)


def _tell_length(path: Path, speech: Speech) -> None:
    """One line on standard error about speech that does not last as long as its units."""
    if speech.wanted_seconds is not None and not speech.finished:
        lengths = f"lasts {speech.seconds:.1f} s, but its units last {speech.wanted_seconds:.1f} s"
        complain(path, ValueError(f"{lengths}; speech was lost or added. Try --keep-durations."))


def _free(stem: str, taken: set[str]) -> str:
    """A name that no other input of this run has: talk, talk-2, ..."""
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    name = next(n for n in names if n not in taken)
    taken.add(name)
    return name
