"""`slmzoo eval slmtokbench`: text and information that the tokens of a system keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from slmzoo.commands.common import DecodingCommand
from slmzoo.commands.evaluate.report import Evaluation
from slmzoo.commands.options.slmtokbench import SlmTokBenchOptions
from slmzoo.evaluation.recordings import recordings_in
from slmzoo.evaluation.slmtokbench.scoring import Spoken, TokenTask, evaluate_tokens
from slmzoo.evaluation.slmtokbench.tokens import Tokenizer, tokens_of
from slmzoo.evaluation.speech.scoring import SpeechMetrics
from slmzoo.evaluation.speech.speech_scores import transcripts
from slmzoo.evaluation.units.text_information import ProbeConfig
from slmzoo.recipes.mini import benchmark as mini
from slmzoo.recipes.mini.spoken_texts import spoken_texts

__all__ = ["SlmTokBench"]

_SMALL = {"steps": 600, "hidden": 96, "lr": 3e-3, "batch": 16}
_PUBLISHED = {"steps": 200_000, "hidden": 1024, "lr": 1e-4, "batch": 32}


@dataclass(frozen=True, kw_only=True)
class SlmTokBench(SlmTokBenchOptions, DecodingCommand, Evaluation):
    """Mutual information with text, word errors of a probe, and resynthesis, for some numbers of streams."""

    def run(self) -> int:
        """Find the recordings and their texts, and evaluate the tokens."""
        data, problems = self._data()
        self.insist("slmtokbench", problems)
        pipeline = self.pipeline(with_ulm=False)
        tokenizer = tokens_of(pipeline, self.codes, self.seed)
        check = partial(self.insist, "slmtokbench")
        found = evaluate_tokens(tokenizer, data, self.out, self._task(tokenizer), bootstrap=self.bootstrap, check=check)
        about = {"zoo": self.zoo, "streams_there": tokenizer.streams, "size": tokenizer.size, "seed": self.seed}
        about |= {"data": "small benchmark" if self.train is None else "own"}
        models = {**self.models(pipeline.sources), **found.models}
        merged = {kind: [*problems.get(kind, []), *names] for kind, names in found.problems.items()}
        return self.finish(
            "slmtokbench",
            replace(found, conventions={**about, **found.conventions}, models=models, problems=problems | merged),
        )

    def _data(self) -> tuple[Spoken, dict[str, list[str]]]:
        given = [self.train, self.test, self.transcripts]
        if given == [None] * 3:
            train, test, texts = spoken_texts(mini.make(self.out / "data", self.most))
            return Spoken(train=train, test=test, texts=texts), {}
        if self.train is None or self.test is None or self.transcripts is None:
            raise ValueError("Give --train, --test and --transcripts, or none of them for the small benchmark.")
        (train, first), (test, second) = recordings_in(self.train), recordings_in(self.test)
        texts, wrong = transcripts(self.transcripts)
        problems = {"duplicated": [*first["duplicated"], *second["duplicated"]]}
        problems |= {f"transcripts {kind}": names for kind, names in wrong.items()}
        return Spoken(train=train, test=test, texts=texts), problems

    def _task(self, tokenizer: Tokenizer) -> TokenTask:
        usual: dict[str, Any] = _SMALL if self.train is None else _PUBLISHED
        size = {name: getattr(self, name) or value for name, value in usual.items()}
        hidden = size.pop("hidden")
        beside = ["wer", "similarity", *([] if tokenizer.units else ["stoi"])]
        metrics = SpeechMetrics(
            names=[name for name in self.metrics or beside if name != "none"],
            asr=self.asr,
            speaker_model=self.speaker_model,
            device=self.chosen_device(),
            jobs=self.jobs,
        )
        return TokenTask(
            levels=self.levels,
            probe=ProbeConfig(dim=hidden, hidden=hidden, seed=self.seed, **size),
            embedding=self.embedding,
            against=self.against,
            utterances=self.utterances,
            metrics=metrics,
        )
