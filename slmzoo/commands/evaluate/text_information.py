"""`slmzoo eval text-information`: mutual information of tokens and text, as SLMTokBench measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from slmzoo.commands.common import DeviceCommand
from slmzoo.commands.evaluate.report import Report
from slmzoo.commands.options.unit_scores import TextInformationOptions
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.speech.wer import CONVENTION
from slmzoo.evaluation.units.probing import evaluate_text_information
from slmzoo.evaluation.units.text_information import ProbeConfig
from slmzoo.evaluation.units.textgrid import SILENCE, alignments_in
from slmzoo.evaluation.units.unit_store import described, units_in

__all__ = ["TextInformation"]


@dataclass(frozen=True, kw_only=True)
class TextInformation(TextInformationOptions, DeviceCommand, Report):
    """Mutual information of framewise units and characters or phones: vCLUB by a recogniser trained on units."""

    def run(self) -> int:
        """Read units and texts, and evaluate."""
        texts, problems = self._texts()
        width = {"dim": self.hidden, "hidden": self.hidden}
        config = ProbeConfig(**width, batch=self.batch, lr=self.lr, steps=self.steps, seed=self.seed)
        found = evaluate_text_information(
            units_in(self.train),
            units_in(self.test),
            texts,
            self.out,
            config,
            against=self.against,
            device=self.chosen_device(),
            problems=problems,
            bootstrap=self.bootstrap,
            check=partial(self.insist, "text-information"),
        )
        text = "phones without silence" if self.alignments else f"characters: {CONVENTION}"
        models = {**found.models, "train": described(self.train), "test": described(self.test)}
        found = replace(found, conventions={**found.conventions, "text": text}, models=models)
        return self.finish("text-information", found)

    def _texts(self) -> tuple[dict[str, Sequence[str]], dict[str, list[str]]]:
        if (self.transcripts is None) == (self.alignments is None):
            raise ValueError("Give --transcripts or --alignments.")
        if self.alignments is not None:
            known, failed = alignments_in(self.alignments, self.tier)
            phones = {name: [p.label for p in some if p.label != SILENCE] for name, some in known.items()}
            return {name: some for name, some in phones.items() if some}, {"unreadable alignments": failed}
        texts, problems = transcripts(str(self.transcripts))
        return dict(texts), {f"transcripts {kind}": names for kind, names in problems.items()}
