"""Base of the evaluations on pairs, from options to a benchmark, a convention and models."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from slmcore import audio
from slmcore.roles import UnitLanguageModel
from slmzoo.commands.common import DecodingCommand
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.pairs import ConventionOptions
from slmzoo.evaluation.likelihood import zerospeech
from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention, usual_convention
from slmzoo.evaluation.likelihood.pairs import Benchmark
from slmzoo.evaluation.likelihood.scoring import evaluate_pairs, evaluate_pairs_of_units, evaluate_scores
from slmzoo.evaluation.report.results import Findings, Problems
from slmzoo.evaluation.units.unit_store import described, units_in

__all__ = ["PairsEvaluation"]


@dataclass(frozen=True, kw_only=True)
class PairsEvaluation(ConventionOptions, DecodingCommand, Evaluation):
    """Base of the evaluations on pairs."""

    def chosen(self, ulm: UnitLanguageModel) -> Convention:
        """Return the convention, by default the model's, with what was given in place of its own."""
        given = {"reduction": self.reduction, "bos": self.bos, "eos": self.eos}
        values = {name: {"yes": True, "no": False}.get(v, v) for name, v in given.items() if v != "default"}
        name = usual_convention(ulm) if self.convention == "default" else self.convention
        return replace(PRESETS[name], **values)

    def benchmark(self) -> Benchmark:
        """Read the pairs of `data`."""
        raise NotImplementedError

    def keep(self, scores: Mapping[str, float], problems: Problems) -> None:
        """Write further outputs from the scores of all recordings of the pairs, after the result."""

    def run(self) -> int:
        """Score the recordings, and compare pairs."""
        benchmark = self.benchmark()
        found = self._of_scores(benchmark) if self.scores is not None else self._of_models(benchmark)
        status = self.finish(benchmark.name, found)
        self.keep({row["item"]: row["value"] for row in found.tables["loglikelihood"]}, found.problems)
        return status

    def _of_models(self, benchmark: Benchmark) -> Findings:
        shared = {"bootstrap": self.bootstrap, "check": partial(self.insist, benchmark.name)}
        shared |= {"progress": sys.stderr.isatty()}
        found = self._of_audio(benchmark, shared) if self.units is None else self._of_shards(benchmark, shared)
        conventions = {**found.conventions, "units": str(self.units or "of the audio")}
        return replace(found, conventions=conventions)

    def _of_scores(self, benchmark: Benchmark) -> Findings:
        path = Path(str(self.scores))
        scores, problems = zerospeech.read_scores(path)
        there = {*scores, *(name for names in problems.values() for name in names)}
        check = partial(self.insist, benchmark.name)
        options = {"problems": problems, "bootstrap": self.bootstrap, "check": check}
        found = evaluate_scores(benchmark, scores, there=there, **options)
        return replace(found, conventions={"scores": path.name, **found.conventions})

    def _of_audio(self, benchmark: Benchmark, shared: dict[str, Any]) -> Findings:
        pipeline = self.pipeline("quantizer", "language_model", with_speech=False)
        options = {"store": self.out / "units", "models": self.models(pipeline.sources), **shared}
        return evaluate_pairs(pipeline, benchmark, self.chosen(cast("UnitLanguageModel", pipeline.ulm)), **options)

    def _of_shards(self, benchmark: Benchmark, shared: dict[str, Any]) -> Findings:
        shards = Path(str(self.units))
        called = {_plain(name): name for name in benchmark.ids} | {name: name for name in benchmark.ids}
        units = {called.get(name, name): each for name, each in units_in(shards).items()}
        ulm, sources = self.language_model()
        found = evaluate_pairs_of_units(ulm, units, benchmark, self.chosen(ulm), origin=str(shards), **shared)
        return replace(found, models={**self.models(sources), "units": described(shards)})


def _plain(name: str) -> str:
    """Return the id of a recording in shards of `slmzoo units`, without an extension."""
    path, endings = Path(name), (*audio.EXTENSIONS, *audio.FFMPEG_EXTENSIONS)
    return path.with_suffix("").as_posix() if path.suffix.lower() in endings else name
