"""`slmzoo eval speech`: intelligibility of speech, and its similarity to the originals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from slmzoo.commands.common import DeviceCommand
from slmzoo.commands.evaluate.report import Report
from slmzoo.commands.options.speech_scores import SpeechScoresOptions
from slmzoo.evaluation.speech.scoring import SpeechMetrics, evaluate_speech

__all__ = ["SpeechScores"]


@dataclass(frozen=True, kw_only=True)
class SpeechScores(SpeechScoresOptions, DeviceCommand, Report):
    """WER and CER of speech; beside its originals STOI, PESQ, speaker similarity, and pitch correlation."""

    def run(self) -> int:
        """Evaluate the recordings; a missing reference is named by its option."""
        if "wer" in self.metrics and self.transcripts is None:
            raise ValueError("--metrics wer needs --transcripts: the reference text of each recording.")
        beside = [name for name in self.metrics if name != "wer"]
        if beside and self.originals is None:
            raise ValueError(f"--metrics {beside[0]} needs --originals: the recordings that the speech was made of.")
        models = {"asr": self.asr, "speaker_model": self.speaker_model}
        metrics = SpeechMetrics(names=self.metrics, device=self.chosen_device(), jobs=self.jobs, **models)
        references = {"transcripts": self.transcripts, "originals": self.originals}
        options = {"bootstrap": self.bootstrap, "check": partial(self.insist, "speech")}
        return self.finish("speech", evaluate_speech(self.data, metrics, **references, **options))
