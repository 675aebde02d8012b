"""The small benchmark: speech synthesised locally by flite, with exactly known phones."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from slmcore.files.digests import write_atomically
from slmcore.units import Units
from slmzoo.evaluation.report.results import Findings, score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units.edit_distance import distances
from slmzoo.recipes.mini.items import KNOWN, NEW, SENTENCES, scrambled
from slmzoo.recipes.speech.flite import speak

__all__ = ["VOICES", "Mini", "evaluate_same_sentence", "make", "same_sentence"]

VOICES = ("slt", "rms")
"""The two voices, which speak every item."""

_SHORTEST = 0.025
"""Shortest phone of the ABX task, seconds: a frame at 40 Hz."""

Segments = Sequence[tuple[str, float]]
"""Phones, each with its end in seconds."""


@dataclass(frozen=True, kw_only=True)
class Mini:
    """Files of the benchmark, below one folder."""

    folder: Path

    @property
    def sentences(self) -> Path:
        """Recordings of the sentences, `<sentence>-<voice>.wav`, and their TextGrids."""
        return self.folder / "sentences"

    @property
    def lexical(self) -> Path:
        """Words against non-words."""
        return self.folder / "lexical.csv"

    @property
    def syntactic(self) -> Path:
        """Sentences against the same words in another order."""
        return self.folder / "syntactic.csv"

    @property
    def phones(self) -> Path:
        """Item file of the sentences for ABX."""
        return self.folder / "phones.item"

    @property
    def transcripts(self) -> Path:
        """Return the reference transcripts of the everyday sentences, in the first voice."""
        return self.folder / "everyday.tsv"


def make(folder: Path, most: int | None = None, jobs: int = 2) -> Mini:
    """Make the benchmark unless it exists; `most`: items of each kind, all if None.

    Raises OSError if flite is not installed or fails.
    """
    mini, made = Mini(folder=folder), folder / "made.json"
    about = json.dumps({"most": most, "voices": VOICES}) + "\n"
    if made.exists() and made.read_text(encoding="utf-8") == about:
        return mini
    words = [(word, other, "yes") for word, other in KNOWN[:most]] + [(w, o, "no") for w, o in NEW[:most]]
    texts = [(kind, f"{kind}-{i:02d}", text) for kind, of in SENTENCES.items() for i, text in enumerate(of[:most])]
    spoken = {f"words/{text}-{v}": (text, v) for word, other, _ in words for text in (word, other) for v in VOICES}
    spoken |= {f"scrambled/{name}-{v}": (scrambled(text), v) for _, name, text in texts for v in VOICES}
    _speak_all(folder, spoken, jobs)
    alignments = _speak_all(
        folder, {f"sentences/{name}-{v}": (text, v) for _, name, text in texts for v in VOICES}, jobs
    )
    for name, segments in alignments.items():
        write_atomically(folder / f"{name}.TextGrid", _textgrid(segments))
    _write_csv(mini.lexical, [_word_row(*row, voice) for row in words for voice in VOICES])
    _write_csv(mini.syntactic, [_sentence_row(*row[:2], voice) for row in texts for voice in VOICES])
    write_atomically(mini.phones, _item_file(alignments))
    everyday = (f"{name}-{VOICES[0]}\t{text}\n" for kind, name, text in texts if kind == "everyday")
    write_atomically(mini.transcripts, "".join(everyday))
    write_atomically(made, about)
    return mini


def evaluate_same_sentence(
    units: Mapping[str, Units], bootstrap: Bootstrap, voices: tuple[str, str] = VOICES
) -> Findings:
    """Accuracy of the same sentence in two voices against other sentences, as `same_sentence` counts it."""
    rows = same_sentence(units, voices)
    scores = score_items("nearer", rows, ["kind"], "share", bootstrap)
    conventions = {"distance": "edits over the longer", "ties": 0.5, "voices": list(voices)}
    return Findings(scores=scores, tables={"nearer": rows}, conventions=conventions)


def same_sentence(units: Mapping[str, Units], voices: tuple[str, str] = VOICES) -> list[dict[str, Any]]:
    """Return how often each sentence is nearer to itself in the other voice than to another sentence in that voice.

    `units`: by `<sentence>-<voice>`. X in one voice is compared with A and B in the other, both ways, by the edit
    distance of units without repeats over the length of the longer; ties count half.
    """
    names = sorted({name.rpartition("-")[0] for name in units})
    first, second = ([units[f"{name}-{voice}"].units.numpy() for name in names] for voice in voices)
    table = np.stack([distances(x, second) for x in first])
    wins = [_nearer(both, i) for both in (table, table.T) for i in range(len(names))]
    halves = zip(names, wins[: len(names)], wins[len(names) :], strict=True)
    return [{"item": name, "value": (a + b) / 2, "kind": name.rpartition("-")[0]} for name, a, b in halves]


def _nearer(table: np.ndarray, row: int) -> float:
    own, others = table[row, row], np.delete(table[row], row)
    return float(((own < others) + 0.5 * (own == others)).mean())


def _speak_all(folder: Path, items: Mapping[str, tuple[str, str]], jobs: int) -> dict[str, Segments]:
    """Synthesise each (text, voice) as `<name>.wav`; return the phones of each."""

    def one(item: tuple[str, tuple[str, str]]) -> Segments:
        name, (text, voice) = item
        return speak(text, folder / f"{name}.wav", voice)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            made = list(tqdm(pool.map(one, items.items()), total=len(items), desc="flite", disable=None))
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return dict(zip(items, made, strict=True))


def _word_row(word: str, other: str, known: str, voice: str) -> dict[str, str]:
    sides = {"positive": f"words/{word}-{voice}.wav", "negative": f"words/{other}-{voice}.wav"}
    return {"item": word, "voice": voice, **sides, "in_vocabulary": known}


def _sentence_row(kind: str, name: str, voice: str) -> dict[str, str]:
    sides = {"positive": f"sentences/{name}-{voice}.wav", "negative": f"scrambled/{name}-{voice}.wav"}
    return {"item": name, "voice": voice, **sides, "kind": kind}


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def _textgrid(segments: Segments) -> str:
    """Format phones as a TextGrid in Praat's short form; pauses are empty labels."""
    starts = [0.0, *(end for _, end in segments)]
    rows = (
        f'{start}\n{end}\n"{"" if phone == "pau" else phone}"\n'
        for (phone, end), start in zip(segments, starts, strict=False)
    )
    end = segments[-1][1]
    head = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n{end}\n<exists>\n1\n'
    return f'{head}"IntervalTier"\n"phones"\n0\n{end}\n{len(segments)}\n{"".join(rows)}'


def _item_file(alignments: Mapping[str, Segments]) -> str:
    """Format an item file of all phones between two others, at least a frame long, with voices as speakers."""
    lines = ["#file onset offset #phone prev-phone next-phone speaker\n"]
    for name, segments in sorted(alignments.items()):
        stem, voice = Path(name).name, name.rpartition("-")[2]
        for before, (phone, end), after in zip(segments, segments[1:], segments[2:], strict=False):
            if phone != "pau" and end - before[1] >= _SHORTEST:
                lines.append(f"{stem} {before[1]} {end} {phone} {before[0]} {after[0]} {voice}\n")
    return "".join(lines)
