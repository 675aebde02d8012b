"""Word and character error rate of what was heard against what was said, as jiwer counts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slmcore.errors import must
from slmzoo.evaluation.optional import need

__all__ = ["Errors", "errors", "normalise", "rate"]


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What is wrong with one transcript."""

    said: str
    """Normalised."""
    heard: str
    words: int
    """Words said."""
    word_errors: int
    """Substitutions, deletions and insertions."""
    characters: int
    """Characters said, single spaces included."""
    character_errors: int


def normalise(text: str) -> str:
    """Lower case, no punctuation (what Unicode calls so), single spaces."""
    jiwer = need("jiwer", "The word error rate")
    return " ".join(str(jiwer.RemovePunctuation()(text)).lower().split())


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
    jiwer = need("jiwer", "The word error rate")
    words, characters = jiwer.process_words(said, heard), jiwer.process_characters(said, heard)
    return Errors(
        said=said,
        heard=heard,
        words=len(said.split()),
        word_errors=words.substitutions + words.deletions + words.insertions,
        characters=len(said),
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
    )
