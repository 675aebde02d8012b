"""Sentences of a wide vocabulary: what the recogniser's own model expects, and nothing that is asked later."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from slmzoo.evaluation.speech.asr import dictionary
from slmzoo.recipes.mini.items import NEW
from slmzoo.recipes.speech import wide_vocabulary
from slmzoo.recipes.speech.everyday import PLAIN
from slmzoo.recipes.speech.sentences import vocabulary, words_of
from slmzoo.recipes.speech.wide_vocabulary import wide_sentences

pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    return wide_sentences(300)


def test_a_smaller_n_is_a_beginning_and_nothing_comes_twice(drawn):
    assert wide_sentences(5) == drawn[:5]
    assert wide_sentences(5, seed=8) != drawn[:5]
    assert len(set(drawn)) == 300


def test_words_are_many_and_can_be_said(drawn):
    words = [word for sentence in drawn for word in words_of(sentence)]
    assert all(5 <= len(words_of(sentence)) <= 10 for sentence in drawn)
    assert set(words) <= set(dictionary())
    assert len(set(words) - vocabulary()) > 500


def test_what_is_measured_later_is_not_drawn(drawn, monkeypatch):
    assert not any(word in sentence.lower() for sentence in drawn for word, _ in NEW)
    assert not any(wide_vocabulary._wanted(word) for word in ("planet", "planets", "randomly", "zz2", "x"))
    monkeypatch.setattr(wide_vocabulary, "PLAIN", (*PLAIN, drawn[0]))
    assert drawn[0] not in wide_sentences(5)


def test_the_order_of_words_is_that_of_talk(drawn):
    """Neighbours are likelier as they stand than with the words of the sentence shuffled."""
    model, rng = wide_vocabulary._Trigrams(), random.Random(0)

    def logp(words: list[str]) -> float:
        return sum(model._logp(second, first) for first, second in pairwise(words))

    sentences = [words_of(sentence) for sentence in drawn]
    mixed = [rng.sample(words, len(words)) for words in sentences]
    assert sum(logp(a) > logp(b) for a, b in zip(sentences, mixed, strict=True)) > 240


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`n` must be"):
        wide_sentences(-1)
