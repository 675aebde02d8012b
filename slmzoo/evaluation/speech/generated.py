"""Evaluation of a pipeline's generated speech in one call: perplexity and diversity of its transcripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files.digests import sha256_of, write_atomically
from slmzoo.evaluation.convention import Convention, is_gslm
from slmzoo.evaluation.report.provenance import models_of, outside
from slmzoo.evaluation.report.results import Findings
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech.asr import hear
from slmzoo.evaluation.speech.continuations import TrueContinuation, chosen, continuation_bleu, read_continuations
from slmzoo.evaluation.speech.generation import ORIGINAL, Utterance, evaluate
from slmzoo.evaluation.speech.textmodels import TextModel, text_model
from slmzoo.evaluation.speech.wer import CONVENTION, normalise
from slmzoo.pipeline import Pipeline

__all__ = ["GenerationTask", "evaluate_generation", "prompts_in"]


@dataclass(frozen=True, kw_only=True)
class GenerationTask:
    """Speech to generate, and the models that score its transcripts."""

    text_model: str
    """Language model of the text, by a name that `textmodels.text_model` takes."""
    asr: str = "pocketsphinx"
    """Recogniser, by a name that `asr.recogniser` takes."""
    temperatures: Sequence[float] = (0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5)
    """Temperatures of the unit language model."""
    num_samples: int = 1
    """Utterances per prompt."""
    prompt_seconds: float = 3.0
    """Length of the prompt; 0 takes all of each."""
    max_new_units: int = 150
    """Largest number of new units."""
    order: int = 2
    """Longest n-grams of auto-BLEU and self-BLEU."""
    convention: Convention = "slmzoo"
    """How texts are averaged; see `generation.evaluate`."""
    continuations: Path | None = None
    """File of true continuations, for the convention of GSLM: see `continuations`."""
    shortest: int = 1000
    """Prompts of so many shortest entries of that file are evaluated."""
    seed: int = 0
    """Seed of the sampling."""

    def __post_init__(self) -> None:
        """Raise a ValueError for no temperature, one below 0, or continuations under another convention than GSLM's."""
        if not self.temperatures or min(self.temperatures) < 0:
            raise ValueError(must("temperatures", "numbers >= 0", self.temperatures))
        if self.continuations is not None and not is_gslm(self.convention):
            raise ValueError(must("convention", "'gslm' with a file of continuations", self.convention))

    def truths(self, prompts: Sequence[Path]) -> dict[str, TrueContinuation]:
        """Return the true continuations of the prompts that are evaluated, by stem; none without their file."""
        if self.continuations is None:
            return {}
        return chosen(read_continuations(self.continuations), prompts, self.shortest)

    def conventions(self, prompts: Sequence[Path]) -> dict[str, Any]:
        """Return the conventions, as results state them."""
        return {
            "asr": self.asr,
            "text_model": self.text_model,
            "text": CONVENTION,
            "order": self.order,
            "convention": self.convention,
            "prompt_seconds": self.prompt_seconds if prompts else None,
            "prompts": len(prompts),
            "num_samples": self.num_samples,
            "max_new_units": self.max_new_units,
            "seed": self.seed,
            **self.compared,
        }

    @property
    def compared(self) -> dict[str, Any]:
        """Digest of the file of continuations and how many of them are taken, where there is one."""
        if self.continuations is None:
            return {}
        return {"continuations": sha256_of(self.continuations), "shortest": self.shortest}


def evaluate_generation(
    pipeline: Pipeline,
    task: GenerationTask,
    folder: Path,
    prompts: Sequence[Path] = (),
    *,
    score: TextModel | None = None,
    device: str = "cpu",
    point: Mapping[str, Any] | None = None,
    models: Mapping[str, Any] | None = None,
    bootstrap: Bootstrap | None = None,
) -> Findings:
    """Perplexity, auto-BLEU, self-BLEU and VERT of the transcripts of generated speech, as in GSLM.

    The wavs are kept in `folder`, from which an interrupted call resumes. `prompts`: recordings (`prompts_in`) to
    continue, and to score as original speech; none for unconditional generation. `score`: the text model, if it is
    loaded. `device`: device of the text model and the recogniser. `point`: operating point, by which wavs in `folder`
    must agree, with `models`, by default those of the registry rows of the pipeline. With `task.continuations`
    only prompts among its shortest entries are taken, and speech begins with its prompt. Raises ValueError for wavs of
    other settings, and as `continuations.chosen`.

    Example: `evaluate_generation(pipeline, GenerationTask(text_model="ngram:text.txt"), Path("wavs")).scores`
    """
    truths = task.truths(prompts)
    prompts = [path for path in prompts if path.stem in truths] if truths else prompts
    score = text_model(task.text_model, device) if score is None else score
    models = models_of(pipeline.sources) if models is None else models
    _settle(folder, task, {**(point or {}), "prompts": [str(path) for path in prompts], "models": models})
    wavs = list(_generated(pipeline, task, folder, prompts, truths))
    wavs += [(ORIGINAL, path.stem, path) for path in prompts]
    texts = _transcribed([path for _, _, path in wavs], task.asr, device)
    utterances = [
        Utterance(item=path.stem, prompt=prompt, temperature=temperature, text=text)
        for (temperature, prompt, path), text in zip(wavs, texts, strict=True)
    ]
    scores, tables = evaluate(utterances, score, task.order, bootstrap, task.convention)
    if truths:
        samples = [(u.temperature, u.prompt, u.text) for u in utterances if u.temperature != ORIGINAL]
        references = {name: normalise(truth.text) for name, truth in truths.items()}
        bleus, tables["continuation_bleu2"] = continuation_bleu(samples, references, bootstrap)
        scores += bleus
    models = {**models, "asr": outside(task.asr), "text_model": outside(task.text_model)}
    return Findings(scores=scores, tables=tables, conventions=task.conventions(prompts), models=models)


def prompts_in(sources: Sequence[str]) -> list[Path]:
    """Return the recordings that files, folders and patterns name.

    Raises ValueError for two of the same name, by which results identify them.
    """
    named: dict[str, Path] = {}
    for path in audio.find(sources) if sources else []:
        if path.stem in named:
            raise ValueError(f"Prompts must differ in name, but {named[path.stem]} and {path} do not. Rename one.")
        named[path.stem] = path
    return list(named.values())


def _settle(folder: Path, task: GenerationTask, about: Mapping[str, Any]) -> None:
    """Record the settings of the wavs; a ValueError if there are wavs of other settings."""
    names = ("num_samples", "prompt_seconds", "max_new_units", "seed")
    text = json.dumps({**{name: getattr(task, name) for name in names}, **task.compared, **about}, indent=1) + "\n"
    path = folder / "settings.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(f"The wavs in {folder} were made otherwise. Give another --out, or remove them.")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def _generated(
    pipeline: Pipeline,
    task: GenerationTask,
    folder: Path,
    prompts: Sequence[Path],
    truths: Mapping[str, TrueContinuation],
) -> Iterator[tuple[str, str, Path]]:
    """Yield temperature, prompt and wav of each utterance, generating those that are missing."""
    for temperature in tqdm(task.temperatures, desc="temperatures", disable=None):
        place = folder / f"{temperature:g}"
        place.mkdir(parents=True, exist_ok=True)
        for index, source in enumerate(list(prompts) or [None]):
            stem = f"{index:04d}" if source is None else f"{index:04d}-{source.stem}"
            paths = [place / f"{stem}-{i}.wav" for i in range(task.num_samples)]
            if not all(path.exists() for path in paths):
                truth = None if source is None else truths.get(source.stem)
                _generate(pipeline, task, source, temperature, task.seed + index, paths, truth)
            yield from ((f"{temperature:g}", source.stem if source else "", path) for path in paths)


def _generate(
    pipeline: Pipeline,
    task: GenerationTask,
    source: Path | None,
    temperature: float,
    seed: int,
    paths: Sequence[Path],
    truth: TrueContinuation | None,
) -> None:
    wav, rate = audio.load(source) if source is not None else (None, None)
    continuations = pipeline.continue_speech(
        wav,
        rate,
        task.prompt_seconds,
        max_new_units=task.max_new_units,
        num_samples=task.num_samples,
        joined=truth is not None,
        temperature=temperature,
        seed=seed,
    )
    for path, continuation in zip(paths, continuations, strict=True):
        wav, rate = continuation.speech.wav, continuation.speech.sample_rate
        audio.write(path, wav if truth is None else wav[:, : int(truth.seconds * rate)], rate)


def _transcribed(paths: Sequence[Path], asr: str, device: str) -> list[str]:
    """Transcribe each wav; an empty text for an empty one."""
    import soundfile

    lasting = [p for p in paths if (i := soundfile.info(p)).frames >= audio.SHORTEST_SECONDS * i.samplerate]
    texts = dict(zip(lasting, hear(lasting, asr, device), strict=True))
    return [normalise(texts.get(path, "")) for path in paths]
