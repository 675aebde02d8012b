"""`slmzoo eval speech`: how well speech that was made can be understood, and how near it is to its originals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmcore import audio
from slmzoo.commands.common import DeviceCommand
from slmzoo.commands.evaluate.report import Report
from slmzoo.commands.options.evaluation import SpeechScoresOptions
from slmzoo.evaluation.recordings import found_in, matched
from slmzoo.evaluation.report.findings import Findings
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.speech_scores import compare_files, measure, recognition, require, transcripts
from slmzoo.evaluation.speech.wer import CONVENTION
from slmzoo.evaluation.units.unit_scores import Found, joined

__all__ = ["SpeechScores"]

Problems = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class SpeechScores(SpeechScoresOptions, DeviceCommand, Report):
    """WER and CER of speech; beside its originals STOI, PESQ, speaker similarity, and pitch correlation."""

    def run(self) -> int:
        """Measure the recordings; what a metric needs is looked for before any of them."""
        require(self.metrics, self.asr)
        files, duplicated = found_in(self.data)
        files, problems = self._readable(files, dict(duplicated))
        found: list[Found] = []
        if "wer" in self.metrics:
            found.append(self._recognition(files, problems))
        beside = [name for name in self.metrics if name != "wer"]
        if beside:
            found += self._beside(beside, files, problems)
        self.insist("speech", problems)
        scores, tables = joined(found)
        findings = Findings(
            scores=scores, tables=tables, conventions=self._conventions(), models=self._judges(), problems=problems
        )
        return self.finish("speech", findings)

    def _judges(self) -> dict[str, Any]:
        judges = {"wer": ("asr", self.asr), "similarity": ("speaker_model", self.speaker_model)}
        return {role: outside(name) for metric, (role, name) in judges.items() if metric in self.metrics}

    def _readable(self, files: dict[str, Path], problems: Problems) -> tuple[dict[str, Path], Problems]:
        failed: list[str] = []
        for name, path in files.items():
            try:
                if not audio.is_empty(path):
                    audio.load(path)
            except (OSError, ValueError):
                failed.append(name)
        return {n: path for n, path in files.items() if n not in failed}, {**problems, "unreadable": failed}

    def _recognition(self, files: dict[str, Path], problems: Problems) -> Found:
        if self.transcripts is None:
            raise ValueError("--metrics wer needs --transcripts: what is said in each recording.")
        said, wrong = transcripts(self.transcripts)
        there = [*files, *problems["unreadable"]]
        known = [*said, *wrong["without words"], *wrong["duplicated"]]
        problems |= {f"transcripts {kind}": names for kind, names in wrong.items()} | matched(
            "recordings", known, there
        )
        self.insist("speech", problems)
        names = [name for name in said if name in files]
        heard = hear([files[name] for name in names], self.asr, self.chosen_device(), self.jobs)
        return recognition({name: said[name] for name in names}, dict(zip(names, heard, strict=True)), self.bootstrap)

    def _beside(self, metrics: list[str], files: dict[str, Path], problems: Problems) -> list[Found]:
        if self.originals is None:
            raise ValueError(f"--metrics {metrics[0]} needs --originals: what the recordings were made of.")
        originals, duplicated = found_in(self.originals)
        there = [*files, *problems["unreadable"]]
        problems |= {"duplicated originals": duplicated["duplicated"], **matched("originals", there, originals)}
        self.insist("speech", problems)
        pairs = {name: (originals[name], path) for name, path in files.items() if name in originals}
        found: list[Found] = []
        for name in metrics:
            options = {"name": self.speaker_model, "device": self.chosen_device()} if name == "similarity" else {}
            scored, failed = compare_files(name, measure(name, **options), pairs, self.bootstrap)
            problems[f"without {name}"] = failed
            found.append(scored)
        return found

    def _conventions(self) -> dict[str, Any]:
        known: dict[str, Any] = {"sample_rate": 16000}
        if "wer" in self.metrics:
            known |= {"asr": self.asr, "text": CONVENTION}
        if "similarity" in self.metrics:
            known["speaker_model"] = self.speaker_model
        return known
