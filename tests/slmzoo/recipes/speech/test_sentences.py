"""The sentences of the demo's corpus: grammatical forms, disjoint splits, stable lists."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from slmzoo.evaluation.speech.asr import dictionary
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.natural import SAMPLE
from slmzoo.recipes.speech.sentences import GRAMMAR, TEMPLATES, held_out, sentences, vocabulary, words_of
from slmzoo.recipes.speech.words import WORDS, noun, verb


@pytest.fixture(scope="module")
def train() -> list[str]:
    return sentences("train", 1500)


@pytest.fixture(scope="module")
def test_set() -> list[str]:
    return sentences("test", 300)


def test_enough_words_and_templates():
    assert len(vocabulary()) > 900
    assert len(set(TEMPLATES)) >= 40


def test_every_slot_of_the_grammar_is_known():
    texts = (*TEMPLATES, *(text for texts in GRAMMAR.values() for text in texts))
    names = {name for text in texts for name in re.findall(r"\{(\w+)", text)}
    assert names <= {*GRAMMAR, *WORDS, "ones", "tens"}
    assert set(GRAMMAR) | set(WORDS) <= names


def test_no_sentence_is_in_both_splits_or_twice(train, test_set):
    assert not set(train) & set(test_set)
    assert len(set(train)) == len(train)
    assert len(set(test_set)) == len(test_set)
    assert SAMPLE not in sentences("train", 3300)


def test_everyday_sentences_are_not_in_training():
    assert len(set(PLAIN + MORE)) == len(PLAIN) + len(MORE)
    assert not set(PLAIN + MORE) & set(sentences("train", 3300))


def test_the_recogniser_knows_every_word():
    pytest.importorskip("pocketsphinx")
    known = set(dictionary())
    assert set(vocabulary()) <= known
    assert {word for sentence in PLAIN + MORE for word in words_of(sentence)} <= known


def test_a_smaller_n_is_a_beginning(train):
    assert sentences("train", 40) == train[:40]
    assert sentences("train", 40, seed=8) != train[:40]


def test_lengths_and_vocabulary(train, test_set):
    known = vocabulary()
    for sentence in train + test_set:
        words = words_of(sentence)
        assert 4 <= len(words) <= 14
        assert set(words) <= known
        assert re.fullmatch(r"[A-Z][A-Za-z', ]*[.?]", sentence)


def test_held_out_pairs_are_in_the_test_set_only():
    """Where two slots touch, the pair of words can be read off the sentence itself."""
    people, adjectives = set(WORDS["person"]), set(WORDS["adjp"])

    def pairs(split: str) -> list[tuple[str, str]]:
        lines = (words_of(line) for line in sentences(split, 2000))
        return [(a, b) for line in lines for a, b in pairwise(line) if a in adjectives and b in people]

    assert len(pairs("train")) > 100
    assert not any(held_out(*pair) for pair in pairs("train"))
    assert any(held_out(*pair) for pair in pairs("test"))


def test_articles_agree_with_the_next_sound(train):
    for sentence in train:
        assert not re.search(r"\ba (?!one|useful)[aeiou]", sentence.lower())
        assert not re.search(r"\ban [^aeiou]", sentence.lower())


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("try", ["try", "tries", "tried", "tried", "trying"]),
        ("go", ["go", "goes", "went", "gone", "going"]),
        ("stop", ["stop", "stops", "stopped", "stopped", "stopping"]),
        ("prefer", ["prefer", "prefers", "preferred", "preferred", "preferring"]),
        ("make", ["make", "makes", "made", "made", "making"]),
        ("visit", ["visit", "visits", "visited", "visited", "visiting"]),
        ("play", ["play", "plays", "played", "played", "playing"]),
        ("watch", ["watch", "watches", "watched", "watched", "watching"]),
        ("fix", ["fix", "fixes", "fixed", "fixed", "fixing"]),
        ("see", ["see", "sees", "saw", "seen", "seeing"]),
    ],
)
def test_verbs(word, forms):
    assert [verb(word, form) for form in ("", "s", "d", "n", "g")] == forms


@pytest.mark.parametrize(
    ("word", "plural"),
    [("child", "children"), ("city", "cities"), ("fox", "foxes"), ("toy", "toys"), ("wife", "wives")],
)
def test_nouns(word, plural):
    assert noun(word, "") == word
    assert noun(word, "p") == plural


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`split` must be"):
        sentences("dev", 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`n` must be"):
        sentences("train", -1)
