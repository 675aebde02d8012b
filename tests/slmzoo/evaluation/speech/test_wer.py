from __future__ import annotations

import sys

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.evaluation.speech import wer
from slmzoo.evaluation.speech.wer import errors, normalise, rate

TEXTS = st.lists(st.sampled_from(["a", "bb", "a bb", "", "c a", "bb c c"]), min_size=1, max_size=5)


def test_normalised_text():
    assert normalise(" At seven  O'Clock, he ran! ") == "at seven oclock he ran"


@given(said=TEXTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_rates_are_those_of_jiwer(said: list[str], data):
    heard = [data.draw(st.sampled_from(["a", "bb a", "", "c"])) for _ in said]
    found = errors(dict(enumerate(said)), dict(enumerate(heard))).values()
    if not "".join(said):
        with pytest.raises(ValueError, match="Nothing was said"):
            rate((e.word_errors, e.words) for e in found)
        return
    assert rate((e.word_errors, e.words) for e in found) == jiwer.wer(said, heard)
    assert rate((e.character_errors, e.characters) for e in found) == jiwer.cer(said, heard)


def test_each_file_by_hand():
    found = errors({"x": "The cat sat.", "y": "no"}, {"x": "the bat sat down", "y": ""})
    x, y = found["x"], found["y"]
    assert (x.word_errors, x.words, x.character_errors, x.characters) == (2, 3, 6, 11)
    assert (y.word_errors, y.words, y.heard) == (1, 1, "")


def test_ids_of_both_sides_must_agree():
    with pytest.raises(ValueError, match="'b'"):
        errors({"a": "x"}, {"a": "x", "b": "y"})


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ImportError, match=r"word error rate needs the package jiwer.*slmzoo\[eval\]"):
        wer.normalise("a")
