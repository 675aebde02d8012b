from __future__ import annotations

import itertools
import sys
import unicodedata

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.wer import errors, normalise, rate

TEXTS = st.lists(st.sampled_from(["a", "bb", "a bb", "", "c a", "bb c c"]), min_size=1, max_size=5)


def test_normalised_text():
    assert normalise(" At seven  O'Clock, he ran! ") == "at seven oclock he ran"


ACCENTS = "über café ñandú Ångström tiếng Việt Ώρα 한국어"


@pytest.mark.parametrize(("reference", "other"), list(itertools.permutations(("NFC", "NFD", "NFKC", "NFKD"), 2)))
def test_composed_and_decomposed_letters_are_the_same(reference, other):
    texts = [unicodedata.normalize(form, ACCENTS) for form in (reference, other)]
    found = errors({"e": texts[0]}, {"e": texts[1]})["e"]
    assert (found.word_errors, found.character_errors, found.words) == (0, 0, len(ACCENTS.split()))
    assert found.characters == len(unicodedata.normalize("NFC", ACCENTS))


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("İstanbul", "istanbul"),
        ("i\u0307stanbul", "ISTANBUL"),
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("hello\u200b world\u200b", "hello world"),
        ("\ufeffhello", "hello"),
        ("co\u00adoperate", "cooperate"),
        ("\u202ahello\u202c", "hello"),
        ("hel\x00lo\x7f", "hello"),
        ("hello\ufe0f", "hello"),
        ("two\u00a0words\u3000here", "two words here"),
        ("what\u037e", "what;"),
    ],
)
def test_other_spellings_of_a_text_are_no_errors(reference, hypothesis):
    found = errors({"a": reference, "b": hypothesis}, {"a": hypothesis, "b": reference})
    assert [(e.word_errors, e.character_errors) for e in found.values()] == [(0, 0)] * 2


def test_letters_that_differ_stay_errors():
    found = errors(
        {"a": "über", "b": "\u0131s\u0131", "c": "résumé"},
        {"a": "uber", "b": "isi", "c": "resume"},
    )
    assert [e.word_errors for e in found.values()] == [1, 1, 1]
    assert [e.character_errors for e in found.values()] == [1, 2, 2]


def test_tabs_and_line_ends_part_words():
    assert normalise("a\tb\nc\u2028d") == "a b c d"


@given(st.text(max_size=20))
def test_what_is_normalised_stays_so_in_either_form(text: str):
    once = normalise(text)
    assert normalise(once) == once
    assert normalise(unicodedata.normalize("NFD", text)) == once


@given(references=TEXTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_rates_are_those_of_jiwer(references: list[str], data):
    hypotheses = [data.draw(st.sampled_from(["a", "bb a", "", "c"])) for _ in references]
    found = errors(dict(enumerate(references)), dict(enumerate(hypotheses))).values()
    if not "".join(references):
        with pytest.raises(ValueError, match="hold no words"):
            rate((e.word_errors, e.words) for e in found)
        return
    assert rate((e.word_errors, e.words) for e in found) == jiwer.wer(references, hypotheses)
    assert rate((e.character_errors, e.characters) for e in found) == jiwer.cer(references, hypotheses)


def test_each_file_by_hand():
    found = errors({"x": "The cat sat.", "y": "no"}, {"x": "the bat sat down", "y": ""})
    x, y = found["x"], found["y"]
    assert (x.word_errors, x.words, x.character_errors, x.characters) == (2, 3, 6, 11)
    assert (y.word_errors, y.words, y.hypothesis) == (1, 1, "")


def test_ids_of_both_sides_must_agree():
    with pytest.raises(ValueError, match="'b'"):
        errors({"a": "x"}, {"a": "x", "b": "y"})


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ImportError, match=r"word error rate needs the package jiwer.*slmzoo\[eval\]"):
        wer.normalise("a")
