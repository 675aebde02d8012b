"""Scores of synthesised speech: against reference texts, and against its originals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.files import folders
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.report.results import score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.speech import asr, intelligibility, pitch, speakers, wer
from slmzoo.evaluation.speech.speakers import similarity, speaker_model
from slmzoo.evaluation.units.unit_scores import Scored

__all__ = ["MEASURES", "Measure", "compare_files", "measure", "recognition", "require", "transcripts"]

Measure = Callable[[Tensor, Tensor, int], float]
"""Measure of an original and its reconstruction, both (1, samples), at a rate in Hz."""

MEASURES = {"stoi": "share", "pesq": "MOS", "visqol": "MOS", "similarity": "cosine", "f0": "correlation"}
"""Measures against an original, each with its unit."""

_SAMPLE_RATE = 16000


def transcripts(path: str | Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Read reference transcripts, `<id> <text>` per line, of a file or all .trans.txt, .tsv and .txt below a folder.

    Also return problems: duplicate ids, which are left out, and ids without words.
    """
    path = Path(path)
    files = sorted(p for p in folders.walk(path) if p.suffix in (".txt", ".tsv")) if path.is_dir() else [path]
    lines = [line.split(maxsplit=1) for file in files for line in file.read_text(encoding="utf-8-sig").splitlines()]
    references: dict[str, str] = {}
    duplicates: set[str] = set()
    for name, *text in filter(None, lines):
        if name in references:
            duplicates.add(name)
        references[name] = wer.normalise(*text) if text else ""
    wordless = {name for name, text in references.items() if not text}
    kept = {name: text for name, text in references.items() if name not in duplicates | wordless}
    return kept, {"duplicated": sorted(duplicates), "without words": sorted(wordless)}


def recognition(references: Mapping[str, str], hypotheses: Mapping[str, str], bootstrap: Bootstrap) -> Scored:
    """Score WER and CER of all files, weighted by reference length. A row holds a file's rates, errors and texts."""
    errors = wer.errors(references, hypotheses)
    words = [
        {"item": name, "value": e.word_errors / e.words, "weight": e.words, "said": e.reference, "heard": e.hypothesis}
        for name, e in errors.items()
    ]
    characters = [
        {"item": name, "value": e.character_errors / e.characters, "weight": e.characters} for name, e in errors.items()
    ]
    tables = {"wer": words, "cer": characters}
    scores = [
        score
        for metric, rows in tables.items()
        for score in score_items(metric, rows, unit="errors/said", bootstrap=bootstrap)
    ]
    return scores, tables


def require(metrics: Iterable[str], recogniser: str, speaker: str = speakers.DEFAULT) -> None:
    """Raise an ImportError that says what to install if a metric, "wer" or one of `MEASURES`, lacks its package.

    `recogniser` and `speaker` name the models of "wer" and "similarity".
    """
    for metric in metrics:
        if metric == "wer":
            wer.require()
            asr.require(recogniser)
        elif metric in ("stoi", "pesq", "visqol"):
            intelligibility.require(metric)
        elif metric == "similarity" and speaker != speakers.STAND_IN:
            need("transformers", "Speaker similarity", "pip install 'slmzoo[transformers]'")


def measure(metric: str, **options: Any) -> Measure:
    """Return one of `MEASURES`. "similarity" takes `name` and `device` as `speaker_model` does."""
    if metric == "similarity":
        speaker = speaker_model(**options)
        return lambda original, made, sr: similarity(speaker.embed(original, sr), speaker.embed(made, sr))
    if metric == "f0":
        return lambda original, made, sr: pitch.correlation(pitch.f0(original, sr), pitch.f0(made, sr))
    return getattr(intelligibility, metric)


def compare_files(
    name: str, run: Measure, pairs: Mapping[str, tuple[Path, Path]], bootstrap: Bootstrap
) -> tuple[Scored, list[str]]:
    """Score the measure `name` of (original, made) files at 16 kHz; also return the ids without a value."""
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for item, files in _progress(name, pairs.items()):
        try:
            original, made = (audio.resample(*audio.load(file), _SAMPLE_RATE) for file in files)
            rows.append({"item": item, "value": run(original, made, _SAMPLE_RATE)})
        except (OSError, ValueError):
            failed.append(item)
    return (score_items(name, rows, unit=MEASURES[name], bootstrap=bootstrap), {name: rows}), failed


def _progress(name: str, pairs: Iterable[Any]) -> Iterable[Any]:
    return tqdm(list(pairs), desc=name, unit="file", disable=None)
