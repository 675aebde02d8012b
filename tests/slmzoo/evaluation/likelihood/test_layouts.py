"""The layouts of other toolkits, read as those toolkits pair them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.evaluation.likelihood.layouts import SALMON, csv_of_pairs, salmon, slamkit, storycloze
from slmzoo.evaluation.likelihood.pairs import Benchmark, Pair, accuracy, likelihood_rows, problems_of


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def paired(benchmark: Benchmark) -> list[tuple[str, str, str]]:
    return [(p.item, p.positive, p.negative) for p in benchmark.pairs]


def test_storycloze_pairs_by_name_in_folders_or_not(tmp_path):
    touch(tmp_path, "7_0_correct.wav", "7_0_incorrect.wav", "s1/7_0_correct.flac", "s1/7_0_incorrect.flac")
    found = storycloze(tmp_path)
    assert paired(found) == [
        ("7_0", "7_0_correct", "7_0_incorrect"),
        ("7_0", "s1/7_0_correct", "s1/7_0_incorrect"),
    ]
    assert [pair.voice for pair in found.pairs] == ["", "s1"]
    rows = accuracy(found.pairs, {**dict.fromkeys(found.files, 0.0), "7_0_correct": 1.0})
    assert rows == [{"item": "7_0", "value": 0.75, "pairs": 2}]
    assert not any(found.problems.values())
    touch(tmp_path, "8_0_correct.wav", "notes.wav", "7_0_correct.mp3")
    assert {k: v for k, v in storycloze(tmp_path).problems.items() if v} == {
        "duplicated": ["7_0_correct"],
        "unpaired": ["7_0_incorrect", "8_0_correct"],
        "extra": ["notes"],
    }


def test_salmon_has_a_score_for_each_task(tmp_path):
    for task in SALMON[:2]:
        touch(tmp_path, *(f"{task}/sample_{i}_{k}.wav" for i in (0, 10) for k in (0, 1)))
    touch(tmp_path, f"{SALMON[0]}/sample_3_0.wav")
    found = salmon(tmp_path)
    assert [(p.item, p.columns["task"]) for p in found.pairs] == [
        (f"{task}/{i}", task) for task in SALMON[:2] for i in (0, 10)
    ]
    assert found.pairs[1].positive == f"{SALMON[0]}/sample_10_0"
    assert found.problems["unpaired"] == [f"{SALMON[0]}/sample_3_0"]
    assert found.by == ("task",)
    with pytest.raises(ValueError, match="bg_alignment"):
        salmon(tmp_path / SALMON[0])


def test_slamkit_pairs_neighbours_by_their_number(tmp_path):
    """Numbers are numbers: 10 comes after 9."""
    touch(tmp_path, "9_a.wav", "10_b.wav", "2_c.wav", "1_d.wav")
    assert paired(slamkit(tmp_path)) == [("1_d", "1_d", "2_c"), ("9_a", "9_a", "10_b")]
    touch(tmp_path, "11_e.wav", "x.wav")
    assert slamkit(tmp_path).problems["unpaired"] == ["11_e", "x"]


@pytest.mark.parametrize(
    ("there", "pairs", "alone"),
    [
        ([0, 2, 3, 5], [(2, 3)], [0, 5]),
        ([1, 2, 3, 4, 5], [(2, 3), (4, 5)], [1]),
        ([0, 1, 2], [(0, 1)], [2]),
        ([4, 5, 10, 11], [(4, 5), (10, 11)], []),
        ([1, 2, 5, 6, 7], [(1, 2), (5, 6)], [7]),
    ],
)
def test_slamkit_pairs_no_strangers_where_one_is_lost(tmp_path, there, pairs, alone):
    touch(tmp_path, *(f"{i}_x.wav" for i in there))
    found = slamkit(tmp_path)
    assert [(p.positive, p.negative) for p in found.pairs] == [(f"{a}_x", f"{b}_x") for a, b in pairs]
    assert found.problems["unpaired"] == [f"{i}_x" for i in alone]


def test_slamkit_names_each_of_a_number_without_its_second(tmp_path):
    touch(tmp_path, "3_x_correct.wav", "4_x_correct.wav", "5_x_correct.wav", "5_x_incorrect.wav")
    found = slamkit(tmp_path)
    assert paired(found) == [("5_x_correct", "5_x_correct", "5_x_incorrect")]
    assert found.problems["unpaired"] == ["3_x_correct", "4_x_correct"]


def test_slamkit_sets_are_scored_apart(tmp_path):
    touch(tmp_path, "IV/1+a.wav", "IV/2+b.wav", "OOV/1+a.wav", "OOV/2+b.wav")
    found = slamkit(tmp_path, "+", "sblimp")
    assert [(p.item, p.columns) for p in found.pairs] == [("IV/1+a", {"set": "IV"}), ("OOV/1+a", {"set": "OOV"})]
    assert (found.by, found.name) == (("set",), "sblimp")
    touch(tmp_path / "equal", "5_x_correct.wav", "5_x_incorrect.wav")
    assert paired(slamkit(tmp_path / "equal")) == [("5_x_correct", "5_x_correct", "5_x_incorrect")]


def test_any_csv_of_pairs(tmp_path):
    touch(tmp_path / "wavs", "a.wav", "b.wav", "c.wav")
    rows = "item,voice,positive,negative,kind\n1,v,a.wav,b.wav,short\n1,w,c.wav,d.wav,short\n2,v,b.wav,a.wav,\n"
    (tmp_path / "p.csv").write_text(rows)
    found = csv_of_pairs(tmp_path / "p.csv", tmp_path / "wavs", ["kind"])
    assert paired(found) == [("1", "a.wav", "b.wav"), ("1", "c.wav", "d.wav"), ("2", "b.wav", "a.wav")]
    assert found.pairs[0].columns == {"kind": "short"}
    assert problems_of(found, found.files) == {"missing": ["d.wav"]}
    (tmp_path / "q.csv").write_text("positive,negative\na.wav,b.wav\n")
    (pair,) = csv_of_pairs(tmp_path / "q.csv").pairs
    assert (pair.item, pair.voice, pair.columns) == ("a.wav", "", {})
    (tmp_path / "r.csv").write_text("positive\na.wav\n")
    with pytest.raises(ValueError, match="a csv without negative"):
        csv_of_pairs(tmp_path / "r.csv")


@pytest.mark.parametrize("by", ["voice", "item", "speed"])
def test_a_csv_is_grouped_only_by_columns_of_its_own(tmp_path, by):
    (tmp_path / "p.csv").write_text("positive,negative,voice,kind,length\na.wav,b.wav,v,short,3\n")
    with pytest.raises(ValueError, match=rf"`by` must be .*\(kind, length\), but is \['{by}'\]"):
        csv_of_pairs(tmp_path / "p.csv", by=["kind", by])


@pytest.mark.parametrize("name", ["weight", "pairs", "value", "resampled_by"])
def test_a_csv_does_not_take_the_names_of_results(tmp_path, name):
    (tmp_path / "p.csv").write_text(f"positive,negative,{name}\na.wav,b.wav,3\n")
    with pytest.raises(ValueError, match=rf"without columns named value, weight, pairs, .* but is a csv with {name}\."):
        csv_of_pairs(tmp_path / "p.csv")


def test_rows_of_a_csv_that_tell_nothing_new_are_named(tmp_path):
    rows = ["a.wav,b.wav,1", "c.wav,c.wav,1", "a.wav,b.wav,1", "a.wav,b.wav,2"]
    (tmp_path / "p.csv").write_text("\n".join(["positive,negative,item", *rows]))
    found = csv_of_pairs(tmp_path / "p.csv")
    assert paired(found) == [("1", "a.wav", "b.wav"), ("2", "a.wav", "b.wav")]
    assert found.problems == {"repeated": ["row 3: a.wav, b.wav"], "same on both sides": ["row 2: c.wav"]}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=30))
def test_voices_are_averaged_before_items(triples):
    pairs = [
        Pair(item=item, positive=f"p{i}", negative=f"n{i}", voice=str(i)) for i, (item, _, _) in enumerate(triples)
    ]
    scores = {f"p{i}": float(p) for i, (_, p, _) in enumerate(triples)}
    scores |= {f"n{i}": float(n) for i, (_, _, n) in enumerate(triples)}
    rows = {row["item"]: row for row in accuracy(pairs, scores)}
    for item in {item for item, _, _ in triples}:
        wins = [1.0 if p > n else 0.5 if p == n else 0.0 for name, p, n in triples if name == item]
        assert rows[item]["value"] == pytest.approx(sum(wins) / len(wins))
        assert rows[item]["pairs"] == len(wins)


def test_a_row_for_each_recording_says_its_side():
    pairs = [Pair(item="1", positive="a", negative="b"), Pair(item="2", positive="c", negative="d")]
    found = likelihood_rows(Benchmark(name="x", pairs=pairs, files={}), {"a": -1.0, "b": -2.0, "d": -3.0})
    assert [(r["item"], r["value"], r["side"]) for r in found] == [
        ("a", -1.0, "positive"), ("b", -2.0, "negative"), ("d", -3.0, "negative"),
    ]  # fmt: skip
