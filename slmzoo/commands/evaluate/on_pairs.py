"""The base of the evaluations on pairs: options to a convention, and models or files to likelihoods."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from slmcore import audio
from slmcore.roles import UnitLanguageModel
from slmcore.units import Units
from slmzoo.commands.common import DecodingCommand
from slmzoo.commands.evaluate.report import Evaluation, Findings
from slmzoo.commands.options.pairs import (
    ConventionOptions,
)
from slmzoo.evaluation.likelihood import zerospeech
from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention, loglikelihoods
from slmzoo.evaluation.likelihood.pairs import Benchmark, accuracy, likelihood_rows, problems_of
from slmzoo.evaluation.report.results import Problems, score_items
from slmzoo.evaluation.units.unit_store import described, units_in, units_of

__all__ = ["PairsEvaluation"]


_TOO_SHORT = "too short to score, unless one unit is by --bos yes"


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """Scores of recordings and how they came about."""

    scores: Mapping[str, float]
    there: Collection[str]
    """Recordings that were found, whether or not they could be scored."""
    problems: Problems
    conventions: dict[str, Any]
    models: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Material:
    """Units of recordings, and what scores them."""

    units: Mapping[str, Units]
    scorer: UnitLanguageModel
    there: Collection[str]
    """Recordings that were found, whether or not they have units."""
    failed: list[str]
    """Recordings that cannot be read."""
    models: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PairsEvaluation(ConventionOptions, DecodingCommand, Evaluation):
    """What the evaluations on pairs share."""

    @property
    def chosen(self) -> Convention:
        """The convention with what was given in place of its own."""
        given = {"reduction": self.reduction, "bos": self.bos, "eos": self.eos}
        values = {name: {"yes": True, "no": False}.get(v, v) for name, v in given.items() if v != "default"}
        return replace(PRESETS[self.convention], **values)

    def benchmark(self) -> Benchmark:
        """The pairs of `data`."""
        raise NotImplementedError

    def keep(self, scores: Mapping[str, float], problems: Problems) -> None:
        """Write what else is made of the scores of all recordings that pairs name, when the result is written."""

    def run(self) -> int:
        """Score the recordings and compare them in pairs."""
        benchmark = self.benchmark()
        scored = self._read() if self.scores is not None else self._score(benchmark)
        found = problems_of(benchmark, scored.there)
        kinds = {**found, **scored.problems}
        problems = {kind: sorted({*found.get(kind, ()), *scored.problems.get(kind, ())}) for kind in kinds}
        self.insist(benchmark.name, problems)
        rows = accuracy(benchmark.pairs, scored.scores)
        findings = Findings(
            scores=score_items("accuracy", rows, benchmark.by, "accuracy", self.bootstrap),
            tables={"accuracy": rows, "loglikelihood": likelihood_rows(benchmark, scored.scores)},
            conventions={**scored.conventions, "ties": 0.5},
            models=scored.models,
            problems=problems,
        )
        status = self.finish(benchmark.name, findings)
        self.keep({name: scored.scores[name] for name in benchmark.ids if name in scored.scores}, problems)
        return status

    def _read(self) -> _Scored:
        path = Path(str(self.scores))
        scores, problems = zerospeech.read_scores(path)
        there = {*scores, *(name for names in problems.values() for name in names)}
        return _Scored(scores=scores, there=there, problems=problems, conventions={"scores": path.name})

    def _score(self, benchmark: Benchmark) -> _Scored:
        material = self._of_audio(benchmark) if self.units is None else self._of_shards(benchmark, self.units)
        units = material.units
        made = [name for name in benchmark.ids if name in units]
        wanted = [name for name in made if self.chosen.scores(len(units[name]))]
        sequences = [units[name] for name in wanted]
        values = loglikelihoods(material.scorer, sequences, self.chosen, progress=sys.stderr.isatty())
        return _Scored(
            scores=dict(zip(wanted, values, strict=True)),
            there=material.there,
            problems={"unreadable": material.failed, _TOO_SHORT: sorted(set(made) - set(wanted))},
            conventions={**self.chosen.describe(), "units": str(self.units or "of the audio")},
            models=material.models,
        )

    def _of_audio(self, benchmark: Benchmark) -> _Material:
        pipeline = self.pipeline("quantizer", "language_model", with_speech=False)
        models = self.models(pipeline.sources)
        files = {name: benchmark.files[name] for name in benchmark.ids if name in benchmark.files}
        units, failed = units_of(pipeline, files, self.out / "units", self.identity(pipeline, models))
        scorer = cast("UnitLanguageModel", pipeline.ulm)
        return _Material(units, scorer, {*benchmark.files, *failed}, list(failed), models)

    def _of_shards(self, benchmark: Benchmark, shards: Path) -> _Material:
        called = {_plain(name): name for name in benchmark.ids} | {name: name for name in benchmark.ids}
        units = {called.get(name, name): each for name, each in units_in(shards).items()}
        ulm, sources = self.language_model()
        point = ulm.operating_point
        for of in units.values():
            if point is not None:
                point.check_compatible(of.operating_point, f"{shards} and the language model")
        models = {**self.models(sources), "units": described(shards)}
        return _Material(units, ulm, units.keys(), [], models)


def _plain(name: str) -> str:
    """The id of a recording as shards of `slmzoo units` have it, without an extension."""
    path, endings = Path(name), (*audio.EXTENSIONS, *audio.FFMPEG_EXTENSIONS)
    return path.with_suffix("").as_posix() if path.suffix.lower() in endings else name
