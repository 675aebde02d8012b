"""Evaluation of a folder of speech in one call: recognition, and distances to the originals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmcore import audio
from slmzoo.evaluation.recordings import matched, recordings_in
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.report.results import Check, Findings, accept
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.speakers import DEFAULT
from slmzoo.evaluation.speech.speech_scores import compare_files, measure, recognition, require, transcripts
from slmzoo.evaluation.speech.wer import CONVENTION
from slmzoo.evaluation.units.unit_scores import Scored, joined

__all__ = ["SpeechMetrics", "evaluate_speech"]

_Problems = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class SpeechMetrics:
    """Metrics of speech, and the models that compute them."""

    names: Sequence[str] = ("wer",)
    """Metrics: "wer" (with the CER) needs transcripts, all others of `speech_scores.MEASURES` need originals."""
    asr: str = "pocketsphinx"
    """Recogniser, by a name that `asr.recogniser` takes."""
    speaker_model: str = DEFAULT
    """Speaker verification model, by a name that `speakers.speaker_model` takes."""
    device: str = "cpu"
    """Device of both models."""
    jobs: int = 1
    """Processes of the recogniser, on a CPU."""

    @property
    def conventions(self) -> dict[str, Any]:
        """Conventions of the metrics, as results state them."""
        known: dict[str, Any] = {"sample_rate": 16000}
        if "wer" in self.names:
            known |= {"asr": self.asr, "text": CONVENTION}
        if "similarity" in self.names:
            known["speaker_model"] = self.speaker_model
        return known

    @property
    def models(self) -> dict[str, Any]:
        """Provenance of the models in use, by role."""
        models = {"wer": ("asr", self.asr), "similarity": ("speaker_model", self.speaker_model)}
        return {role: outside(name) for metric, (role, name) in models.items() if metric in self.names}


def evaluate_speech(
    folder: Path,
    metrics: SpeechMetrics = SpeechMetrics(),  # frozen
    *,
    transcripts: Path | None = None,
    originals: Path | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Scores of the recordings in a folder, by their stems: WER and CER, STOI, PESQ, speaker similarity, pitch.

    `transcripts`: file or folder of reference texts (`speech_scores.transcripts`); `originals`: folder of the
    recordings they were made of. Recordings that cannot be scored are problems. Raises ImportError for a missing
    package before anything is read, ValueError if a metric lacks its reference, and the errors of `check`.

    Example: `evaluate_speech(Path("resynthesis"), transcripts=Path("text.tsv")).scores[0].interval.value`
    """
    require(metrics.names, metrics.asr, metrics.speaker_model)
    run = _Run(metrics, bootstrap or Bootstrap(), check)
    files, problems = run.readable(folder)
    scored: list[Scored] = []
    if "wer" in metrics.names:
        scored.append(run.recognised(files, transcripts, problems))
    if any(name != "wer" for name in metrics.names):
        scored += run.compared(files, originals, problems)
    check(problems)
    scores, tables = joined(scored)
    return Findings(
        scores=scores, tables=tables, conventions=metrics.conventions, models=metrics.models, problems=problems
    )


@dataclass(frozen=True)
class _Run:
    metrics: SpeechMetrics
    bootstrap: Bootstrap
    check: Check

    def readable(self, folder: Path) -> tuple[dict[str, Path], _Problems]:
        files, duplicated = recordings_in(folder)
        failed: list[str] = []
        for name, path in files.items():
            try:
                if not audio.is_empty(path):
                    audio.load(path)
            except (OSError, ValueError):
                failed.append(name)
        return {n: path for n, path in files.items() if n not in failed}, {**duplicated, "unreadable": failed}

    def recognised(self, files: Mapping[str, Path], path: Path | None, problems: _Problems) -> Scored:
        if path is None:
            raise ValueError("The metric wer needs transcripts: the reference text of each recording.")
        references, wrong = transcripts(path)
        there = [*files, *problems["unreadable"]]
        known = [*references, *wrong["without words"], *wrong["duplicated"]]
        problems |= {f"transcripts {kind}": names for kind, names in wrong.items()}
        problems |= matched("recordings", known, there)
        self.check(problems)
        chosen = {name: text for name, text in references.items() if name in files}
        paths, metrics = [files[name] for name in chosen], self.metrics
        hypotheses = hear(paths, metrics.asr, metrics.device, metrics.jobs)
        return recognition(chosen, dict(zip(chosen, hypotheses, strict=True)), self.bootstrap)

    def compared(self, files: Mapping[str, Path], folder: Path | None, problems: _Problems) -> list[Scored]:
        names = [name for name in self.metrics.names if name != "wer"]
        if folder is None:
            raise ValueError(f"The metric {names[0]} needs originals: the recordings that the speech was made of.")
        originals, duplicated = recordings_in(folder)
        there = [*files, *problems["unreadable"]]
        problems |= {"duplicated originals": duplicated["duplicated"], **matched("originals", there, originals)}
        self.check(problems)
        pairs = {name: (originals[name], path) for name, path in files.items() if name in originals}
        scored: list[Scored] = []
        for name in names:
            speaker = {"name": self.metrics.speaker_model, "device": self.metrics.device}
            run = measure(name, **(speaker if name == "similarity" else {}))
            scores, problems[f"without {name}"] = compare_files(name, run, pairs, self.bootstrap)
            scored.append(scores)
        return scored
