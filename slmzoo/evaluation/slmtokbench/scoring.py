"""SLMTokBench in one call: text information, a probe's word errors, and resynthesis, for streams of any tokenizer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files.digests import write_atomically
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.results import Check, Findings, Row, Score, accept
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.slmtokbench.tokens import Speak, Tokenizer
from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.scoring import SpeechMetrics, evaluate_speech
from slmzoo.evaluation.speech.speech_scores import recognition, require
from slmzoo.evaluation.units.probing import evaluate_token_information
from slmzoo.evaluation.units.text_information import ProbeConfig
from slmzoo.training.loop.task import generator

__all__ = ["ORIGINAL", "Spoken", "TokenTask", "evaluate_tokens"]

ORIGINAL = "original"
"""Label of the scores of the recordings themselves."""
_RENAMED = {"wer": "probe_wer", "cer": "probe_cer"}


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Recordings by id, to train the probe on and to score, and what is said in them."""

    train: Mapping[str, Path]
    test: Mapping[str, Path]
    texts: Mapping[str, str]
    """Normalised texts of both, by id."""


@dataclass(frozen=True, kw_only=True)
class TokenTask:
    """Choices of the benchmark; the defaults are the published ones, as far as they are known."""

    levels: Sequence[int] = ()
    """Numbers of streams to score, each counted from the first; the first alone and all if empty."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    embedding: Literal["random", "codebook"] = "random"
    """Start of the probe's embedding: random, or the code vectors of the tokenizer, whose width is then the probe's."""
    against: int | None = None
    """Texts that each recording is compared with; all if None."""
    utterances: int = 300
    """Test recordings to resynthesise, drawn with the probe's seed; all if there are fewer."""
    metrics: SpeechMetrics = field(default_factory=SpeechMetrics)
    """Metrics of the resynthesis; none of them, if `names` is empty, without one."""


def evaluate_tokens(
    tokenizer: Tokenizer,
    data: Spoken,
    folder: Path,
    task: TokenTask = TokenTask(),  # frozen
    *,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Scores of a tokenizer by SLMTokBench, each for some number of its streams, as `tokens` of its subset.

    `text_information` (and `_by_symbol`), `probe_wer` and `probe_cer` of a recogniser trained on the tokens, and the
    metrics of the resynthesis beside those of the originals. Probes are kept in `folder`, and not trained again; wavs
    are made anew.
    Raises ImportError for a missing package before anything is computed, ValueError for more levels than there are or
    for code vectors of a tokenizer that has none, and the errors of `check`.

    Example: `evaluate_tokens(codec_tokens(codec), Spoken(train=a, test=b, texts=texts), Path("out")).scores`
    """
    numbers = tokenizer.numbers(task.levels)
    wer.require()
    require(task.metrics.names, task.metrics.asr, task.metrics.speaker_model)
    vectors = _start(tokenizer, task)
    run = _Run(tokenizer, data, folder, task, bootstrap or Bootstrap(), check)
    missing = matched("texts", {**data.train, **data.test}, data.texts)["missing texts"]
    check({"missing texts": missing})
    tokens = run.encoded()
    parts = [run.probed(tokens, number, None if vectors is None else vectors[:number]) for number in numbers]
    if task.metrics.names and tokenizer.speak is not None:
        parts += run.resynthesised(tokens, numbers, tokenizer.speak)
    return _together(parts)


def _start(tokenizer: Tokenizer, task: TokenTask) -> Tensor | None:
    if task.embedding == "random":
        return None
    if tokenizer.vectors is None:
        raise ValueError(must("embedding", "random for a tokenizer without code vectors in one space", task.embedding))
    return tokenizer.vectors


@dataclass(frozen=True)
class _Run:
    tokenizer: Tokenizer
    data: Spoken
    folder: Path
    task: TokenTask
    bootstrap: Bootstrap
    check: Check

    def encoded(self) -> dict[str, Tensor]:
        """Tokens (streams, T) of all recordings that have a text."""
        files = {name: file for name, file in {**self.data.train, **self.data.test}.items() if name in self.data.texts}
        bar = tqdm(files.items(), desc="tokens", unit="file", disable=None)
        return {name: self.tokenizer.encode(*audio.load(file)) for name, file in bar}

    def probed(self, tokens: Mapping[str, Tensor], number: int, vectors: Tensor | None) -> Findings:
        """Text information and word errors of the first `number` streams."""
        config = self.task.probe if vectors is None else replace(self.task.probe, dim=vectors.shape[-1])
        streams = {name: x[:number] if number > 1 else x[0] for name, x in tokens.items()}
        train, test = ({n: streams[n] for n in of if n in streams} for of in (self.data.train, self.data.test))
        options: dict[str, Any] = {"kinds": self.tokenizer.size, "vectors": vectors, "against": self.task.against}
        options |= {"device": self.task.metrics.device, "bootstrap": self.bootstrap, "check": self.check}
        information, probe = evaluate_token_information(train, test, self.data.texts, self.folder, config, **options)
        references = {name: self.data.texts[name] for name in test}
        hypotheses = {name: "".join(probe.recognise(x)) for name, x in test.items()}
        scores, tables = recognition(references, hypotheses, self.bootstrap)
        scores = [*information.scores, *(replace(score, metric=_RENAMED[score.metric]) for score in scores)]
        tables = {**information.tables, **{_RENAMED[name]: rows for name, rows in tables.items()}}
        label = self.tokenizer.label(number)
        models = {f"probe {label}": information.models["probe"]}
        conventions = {**information.conventions, "embedding": self.task.embedding, "streams": "embeddings added"}
        del conventions["seed"]
        return _labelled(
            replace(information, scores=scores, tables=tables, models=models, conventions=conventions), label
        )

    def resynthesised(self, tokens: Mapping[str, Tensor], numbers: Sequence[int], speak: Speak) -> list[Findings]:
        """Metrics of the originals and of speech from the first streams, each of `numbers` of them."""
        chosen = self._drawn()
        # Wavs of other tokens may lie there.
        shutil.rmtree(self.folder / "resynthesis", ignore_errors=True)
        originals, transcripts = self.folder / "resynthesis" / ORIGINAL, self.folder / "resynthesis" / "said.tsv"
        self._write(chosen, originals, lambda name, wav, rate: (audio.mono(wav), rate))
        write_atomically(transcripts, "".join(f"{name}\t{self.data.texts[name]}\n" for name in chosen))
        own = replace(self.task.metrics, names=[name for name in self.task.metrics.names if name == "wer"])
        findings = [_labelled(self._scored(originals, originals, transcripts, own), ORIGINAL)] if own.names else []
        for number in numbers:
            label = self.tokenizer.label(number)
            resynthesis = originals.with_name(label.replace(":", "-"))
            first = {name: tokens[name][:number] for name in chosen}
            self._write(chosen, resynthesis, lambda name, wav, rate, of=first: speak(wav, rate, of[name]))
            findings.append(_labelled(self._scored(resynthesis, originals, transcripts, self.task.metrics), label))
        return findings

    def _drawn(self) -> list[str]:
        """Names of the recordings to resynthesise."""
        names = sorted(name for name in self.data.test if name in self.data.texts)
        order = torch.randperm(len(names), generator=generator(self.task.probe.seed, 0))
        return [names[i] for i in sorted(order[: self.task.utterances].tolist())]

    def _write(
        self, names: Sequence[str], folder: Path, made: Callable[[str, Tensor, int], tuple[Tensor, int]]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in tqdm(names, desc=folder.name, unit="file", disable=None):
            audio.write(folder / f"{name}.wav", *made(name, *audio.load(self.data.test[name])))

    def _scored(self, folder: Path, originals: Path, transcripts: Path, metrics: SpeechMetrics) -> Findings:
        options: dict[str, Any] = {"transcripts": transcripts, "bootstrap": self.bootstrap, "check": self.check}
        return evaluate_speech(folder, metrics, originals=originals, **options)


def _labelled(findings: Findings, label: str) -> Findings:
    """Findings with `tokens` as a column of their tables and the subset of their scores."""

    def row(of: Row) -> Row:
        return {**of, "item": f"{label}/{of['item']}", "tokens": label}

    scores = [replace(score, subset={**score.subset, "tokens": label}) for score in findings.scores]
    tables = {metric: [row(each) for each in rows] for metric, rows in findings.tables.items()}
    problems = {kind: [f"{label}/{name}" for name in names] for kind, names in findings.problems.items()}
    return replace(findings, scores=scores, tables=tables, problems=problems)


def _together(parts: Sequence[Findings]) -> Findings:
    """Merge several sets of findings, joining tables of one metric."""
    scores: list[Score] = [score for part in parts for score in part.scores]
    tables: dict[str, list[Row]] = {}
    problems: dict[str, list[str]] = {}
    for part in parts:
        for metric, rows in part.tables.items():
            tables.setdefault(metric, []).extend(rows)
        for kind, names in part.problems.items():
            problems.setdefault(kind, []).extend(names)
    conventions = {name: value for part in parts for name, value in part.conventions.items()}
    models = {name: value for part in parts for name, value in part.models.items()}
    return Findings(scores=scores, tables=tables, conventions=conventions, models=models, problems=problems)
