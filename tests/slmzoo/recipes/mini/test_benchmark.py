"""The small benchmark: lists that are what they say, speech with exact phones, and the whole suite in one run."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
import torch

from slmcore import audio
from slmcore.units import Units
from slmzoo.cli import main
from slmzoo.evaluation.likelihood.layouts import csv_of_pairs
from slmzoo.evaluation.report.compare import compare_results
from slmzoo.evaluation.report.results import read
from slmzoo.evaluation.units.abx import read_items
from slmzoo.evaluation.units.textgrid import phones
from slmzoo.recipes.mini import benchmark as mini
from slmzoo.recipes.mini.items import KNOWN, NEW, SENTENCES, scrambled
from slmzoo.recipes.speech.sentences import sentences, vocabulary
from tests.reference.programs import needs_flite


def test_words_are_known_or_not_and_non_words_are_none():
    known = set(vocabulary())
    words = [word for word, _ in (*KNOWN, *NEW)]
    others = [other for _, other in (*KNOWN, *NEW)]
    assert {word for word, _ in KNOWN} <= known
    assert not {word for word, _ in NEW} & known
    assert not set(others) & (known | set(words))
    assert len(set(words)) == len(words)
    assert len(set(others)) == len(others)


def test_no_training_sentence_is_asked():
    asked = {s.lower().rstrip(".?") for of in SENTENCES.values() for s in of}
    assert len(asked) == sum(map(len, SENTENCES.values()))
    assert not asked & {s.lower().rstrip(".?") for s in sentences("train", 3000)}


def test_scrambling_keeps_the_words_and_parts_all_neighbours():
    assert scrambled("The dog sleeps in here.") == "Dog in the sleeps here."
    for text in (s for of in SENTENCES.values() for s in of):
        before, after = (t.lower().rstrip(".?!").split() for t in (text, scrambled(text)))
        assert sorted(before) == sorted(after)
        kept = set(itertools.pairwise(before)) & set(itertools.pairwise(after))
        assert not kept, (text, kept)


def units(*values: int) -> Units:
    return Units(torch.tensor(values), torch.ones(len(values), dtype=torch.int64), 50.0)


def test_the_same_sentence_is_compared_both_ways():
    """b is as near to c as to itself in one direction: a tie counts half."""
    texts = {
        "x-a-slt": units(1, 2, 3), "x-a-rms": units(1, 2, 4),
        "x-b-slt": units(5, 6, 7), "x-b-rms": units(5, 9, 9),
        "y-c-slt": units(5, 8, 8), "y-c-rms": units(8, 8, 8),
    }  # fmt: skip
    rows = {row["item"]: row for row in mini.same_sentence(texts)}
    assert {item: row["kind"] for item, row in rows.items()} == {"x-a": "x", "x-b": "x", "y-c": "y"}
    assert rows["x-a"]["value"] == 1.0
    assert rows["x-b"]["value"] == pytest.approx((1.0 + 0.75) / 2)
    assert rows["y-c"]["value"] == pytest.approx((1.0 + 1.0) / 2)


@needs_flite
def test_its_speech_is_made_with_phones_that_fill_it(tmp_path):
    made = mini.make(tmp_path, most=1)
    assert len(list(tmp_path.rglob("*.wav"))) == 2 * (2 * 2 + 2 * 2)
    grids = sorted(made.sentences.glob("*.TextGrid"))
    assert len(grids) == 4
    for path in grids:
        wav, rate = audio.load(path.with_suffix(".wav"))
        found = phones(path)
        assert found[0].label == found[-1].label == "sil"
        assert all(a.end == b.start for a, b in itertools.pairwise(found))
        assert found[-1].end == pytest.approx(wav.shape[1] / rate, abs=0.15)
    assert {item.speaker for item in read_items(made.phones)} == set(mini.VOICES)
    for path in (made.lexical, made.syntactic):
        benchmark = csv_of_pairs(path)
        assert len(benchmark.pairs) == 4
        assert set(benchmark.files) == set(benchmark.ids)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    mini.make(tmp_path, most=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_without_flite_there_is_a_line_that_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["eval", "mini", "--zoo", "demo", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert "Install it" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("package", "extra"), [("jiwer", "eval"), ("pocketsphinx", "eval"), ("pyarrow", "corpus")])
def test_a_package_that_a_late_part_needs_is_missed_before_the_first(tmp_path, capsys, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(mini, "make", lambda *args: pytest.fail("the benchmark was made"))
    assert main(["eval", "mini", "--zoo", "demo", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert f"needs the package {package}" in err
    assert f"pip install 'slmzoo[{extra}]'" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@needs_flite
def test_the_whole_suite_in_one_run_and_again(tmp_path):
    arguments = ["eval", "mini", "--zoo", "demo", "--most", "2", "--resamples", "100", "--out", str(tmp_path)]
    assert main(arguments) == 0
    content = read(tmp_path / "mini.json")
    parts = {score["metric"].split(".")[0] for score in content["scores"]}
    assert parts == {
        "lexical", "syntactic", "same", "units", "abx-features", "abx-units", "originals", "resynthesis", "generation",
    }  # fmt: skip
    assert {"wavlm", "codebook", "ulm", "ellav", "wavtokenizer", "asr", "text_model"} == set(content["models"])
    same = [each.comparison for each in compare_results(*[tmp_path / "mini.json"] * 2)]
    assert same
    assert {each.difference.value for each in same} <= {0.0, None}
    before = (tmp_path / "mini.json").read_bytes()
    for name in ("lexical/lexical.json", "resynthesis/speech.json"):
        (tmp_path / name).unlink()
    assert main(arguments) == 0
    assert (tmp_path / "mini.json").read_bytes() == before
    assert json.loads(before)["complete"] is True
