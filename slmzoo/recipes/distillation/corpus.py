"""Synthetic speech of the experiment: sentences to train codecs and probes on, and held-out ones, with their phones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from slmcore import audio
from slmcore.files import atomic
from slmzoo.evaluation.units.abx import Item
from slmzoo.evaluation.units.textgrid import Phone
from slmzoo.recipes.mini.items import SENTENCES
from slmzoo.recipes.speech.flite import speak
from slmzoo.recipes.speech.sentences import sentences

__all__ = ["HELD_OUT_VOICES", "VOICES", "Corpus", "Sentence", "make"]

VOICES = ("slt", "rms", "awb", "kal16")
"""Voices of the training set."""
HELD_OUT_VOICES = ("slt", "rms")
"""Voices of the held-out sentences; probes of phones are trained on the others."""
_PAUSE = "pau"
_SHORTEST = 0.05
"""Seconds of the shortest phone that ABX compares: two and a half frames of 50 Hz."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A recording with its transcript."""

    file: Path
    text: str
    voice: str
    phones: tuple[tuple[str, float], ...]
    """Phones in order, pauses ("pau") among them, each with the second at which it ends."""

    @property
    def name(self) -> str:
        """Name of the file without its extension."""
        return self.file.stem

    def wav(self) -> Tensor:
        """Return float32 (1, samples) at 16 kHz."""
        return audio.load(self.file)[0]

    def intervals(self) -> list[Phone]:
        """Return the phones with their times."""
        starts = [0.0, *(end for _, end in self.phones)]
        return [Phone(start, end, phone) for start, (phone, end) in zip(starts, self.phones, strict=False)]

    def items(self) -> list[Item]:
        """Return the phones between two others that are long enough for ABX."""
        intervals, middle = self.intervals(), []
        for before, phone, after in zip(intervals, intervals[1:], intervals[2:], strict=False):
            if phone.label != _PAUSE and phone.end - phone.start >= _SHORTEST:
                times = Fraction(phone.start).limit_denominator(10**6), Fraction(phone.end).limit_denominator(10**6)
                middle.append(Item(self.name, *times, phone.label, before.label, after.label, self.voice))
        return middle


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The recordings of the experiment."""

    training: list[Sentence]
    held_out: list[Sentence]


def make(folder: Path, training: int, held_out: int, seed: int, jobs: int = 2) -> Corpus:
    """Synthesise the missing ones of `training` sentences and `held_out` others in each of their voices.

    Raises RuntimeError if flite is not installed or fails.
    """
    chosen = [text for of in SENTENCES.values() for text in of][:held_out]
    texts = {"train": sentences("train", training, seed), "held-out": chosen}
    voices = {"train": VOICES, "held-out": HELD_OUT_VOICES}
    made = {split: _spoken(folder / split, texts[split], voices[split], jobs) for split in texts}
    return Corpus(training=made["train"], held_out=made["held-out"])


def _spoken(folder: Path, texts: Sequence[str], voices: Sequence[str], jobs: int) -> list[Sentence]:
    """Synthesise each training sentence with one voice in turn, and each held-out sentence with every voice."""
    alone = len(texts) > 0 and tuple(voices) == VOICES
    wanted: Mapping[Path, tuple[str, str]] = {
        folder / f"{i:05d}-{voice}.wav": (text, voice)
        for i, text in enumerate(texts)
        for voice in ([voices[i % len(voices)]] if alone else voices)
    }
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda entry: _sentence(entry[0], *entry[1]), wanted.items()))


def _sentence(file: Path, text: str, voice: str) -> Sentence:
    phone_file = file.parent.with_name(f"{file.parent.name}-phones") / f"{file.stem}.json"
    if not (phone_file.exists() and file.exists()):
        phones = speak(text, file, voice)
        phone_file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(phone_file, json.dumps(phones).encode())
    phones = tuple((phone, end) for phone, end in json.loads(phone_file.read_text(encoding="utf-8")))
    return Sentence(file=file, text=text, voice=voice, phones=phones)
