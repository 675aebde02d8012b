"""Recordings of the small benchmark with their texts, split to train a recogniser of text on some of them."""

from __future__ import annotations

from pathlib import Path

from slmzoo.evaluation.speech.wer import normalise
from slmzoo.recipes.mini.benchmark import VOICES, Mini
from slmzoo.recipes.mini.items import SENTENCES

__all__ = ["spoken_texts"]

_EACH = 5
"""One sentence of so many is held out, in both voices: the second, by which all letters occur in the others."""


def spoken_texts(made: Mini) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """Return the recordings to train on and to score, by id, and the normalised text of each."""
    utterances = {
        f"{kind}-{number:02d}-{voice}": (number % _EACH == 1, normalise(text))
        for kind, sentences in SENTENCES.items()
        for number, text in enumerate(sentences)
        for voice in VOICES
    }
    files = {path.stem: path for path in sorted(made.sentences.glob("*.wav")) if path.stem in utterances}
    train, test = ({n: f for n, f in files.items() if utterances[n][0] == held_out} for held_out in (False, True))
    return train, test, {name: utterances[name][1] for name in files}
