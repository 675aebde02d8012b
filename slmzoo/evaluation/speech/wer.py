"""Word and character error rate of a hypothesis against a reference, as jiwer counts them.

Both texts are compared as `normalise` leaves them, so that two spellings of one text in Unicode are no errors: a letter
with its accent in one character or two, capitals, and characters that nobody sees.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slmcore.errors import must
from slmzoo.evaluation.optional import need

__all__ = ["CONVENTION", "Errors", "errors", "normalise", "rate", "require"]

CONVENTION = "Unicode NFC, case-folded, no punctuation or invisible characters, single spaces"
"""Description of `normalise`, as stated in results."""

_INVISIBLE = {0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
"""Joiners, fillers and variation selectors, which Unicode counts among letters and marks."""
_DOTTED_I = "i\u0307"


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors of one transcript."""

    said: str
    """Normalised."""
    heard: str
    words: int
    """Words of the reference."""
    word_errors: int
    """Substitutions, deletions and insertions."""
    characters: int
    """Characters of the reference, single spaces included."""
    character_errors: int


def require() -> Any:
    """The package jiwer. Raises ImportError that says how it is installed."""
    return need("jiwer", "The word error rate")


def normalise(text: str) -> str:
    """Return the text as `CONVENTION` says; punctuation and invisible characters are what Unicode calls so.

    Case folding makes "ss" of "ß"; the Turkish "İ" becomes "i", as its capital in other languages.
    """
    jiwer = require()
    seen = "".join(character for character in text if not _is_invisible(character))
    # Folding may take letters apart: they are put together afterwards.
    folded = unicodedata.normalize("NFD", seen).casefold().replace(_DOTTED_I, "i")
    return " ".join(str(jiwer.RemovePunctuation()(unicodedata.normalize("NFC", folded))).split())


def _is_invisible(character: str) -> bool:
    """Whether a character has no shape of its own: a zero-width space, a byte-order mark, a soft hyphen, a control."""
    controls = unicodedata.category(character) in ("Cc", "Cf") and not character.isspace()
    return controls or ord(character) in _INVISIBLE


def errors(said: Mapping[str, str], heard: Mapping[str, str]) -> dict[str, Errors]:
    """The errors of each transcript, by its id. Raises ValueError if an id is only on one side."""
    if said.keys() != heard.keys():
        raise ValueError(must("heard", "a mapping with the ids of `said`", sorted(said.keys() ^ heard.keys())))
    return {key: _errors(normalise(said[key]), normalise(heard[key])) for key in said}


def rate(counts: Iterable[tuple[int, int]]) -> float:
    """Errors over all words (or characters), of (errors, words) of each transcript. ValueError without any word."""
    wrong, total = (sum(column) for column in zip(*counts, strict=True))
    if not total:
        raise ValueError("Nothing was said in any of the transcripts: there is no error rate.")
    return wrong / total


def _errors(said: str, heard: str) -> Errors:
    jiwer = require()
    words, characters = jiwer.process_words(said, heard), jiwer.process_characters(said, heard)
    return Errors(
        said=said,
        heard=heard,
        words=len(said.split()),
        word_errors=words.substitutions + words.deletions + words.insertions,
        characters=len(said),
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
    )
