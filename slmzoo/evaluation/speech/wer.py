"""Word and character error rate of a hypothesis against a reference, as jiwer counts them.

Both texts are normalised first (`normalise`), so that different Unicode spellings of a text are not errors: composed
and decomposed accents, capitals, and invisible characters.
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
"""Joiners, fillers and variation selectors, which Unicode classifies as letters and marks."""
_DOTTED_I = "i\u0307"


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors of one transcript."""

    reference: str
    """Normalised reference and hypothesis."""
    hypothesis: str
    words: int
    """Words of the reference."""
    word_errors: int
    """Substitutions, deletions and insertions."""
    characters: int
    """Characters of the reference, single spaces included."""
    character_errors: int


def require() -> Any:
    """Import jiwer. Raises an ImportError that says how to install it."""
    return need("jiwer", "The word error rate")


def normalise(text: str) -> str:
    """Normalise a text by `CONVENTION`; punctuation and invisible characters are defined by Unicode.

    Case folding turns "ß" into "ss"; the Turkish "İ" becomes "i".
    """
    jiwer = require()
    seen = "".join(character for character in text if not _is_invisible(character))
    # Folding may decompose letters, which are composed again afterwards.
    folded = unicodedata.normalize("NFD", seen).casefold().replace(_DOTTED_I, "i")
    return " ".join(str(jiwer.RemovePunctuation()(unicodedata.normalize("NFC", folded))).split())


def _is_invisible(character: str) -> bool:
    """Whether a character is invisible: a zero-width space, a byte-order mark, a soft hyphen, a control character."""
    controls = unicodedata.category(character) in ("Cc", "Cf") and not character.isspace()
    return controls or ord(character) in _INVISIBLE


def errors(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> dict[str, Errors]:
    """Count the errors of each transcript, by id. Raises ValueError if an id is only on one side."""
    if references.keys() != hypotheses.keys():
        unmatched = sorted(references.keys() ^ hypotheses.keys())
        raise ValueError(must("hypotheses", "a mapping with the ids of `references`", unmatched))
    return {key: _errors(normalise(references[key]), normalise(hypotheses[key])) for key in references}


def rate(counts: Iterable[tuple[int, int]]) -> float:
    """Return the error rate over all words (or characters), from (errors, words) each; a ValueError without words."""
    wrong, total = (sum(column) for column in zip(*counts, strict=True))
    if not total:
        raise ValueError("The reference transcripts hold no words: there is no error rate.")
    return wrong / total


def _errors(reference: str, hypothesis: str) -> Errors:
    jiwer = require()
    words, characters = jiwer.process_words(reference, hypothesis), jiwer.process_characters(reference, hypothesis)
    return Errors(
        reference=reference,
        hypothesis=hypothesis,
        words=len(reference.split()),
        word_errors=words.substitutions + words.deletions + words.insertions,
        characters=len(reference),
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
    )
