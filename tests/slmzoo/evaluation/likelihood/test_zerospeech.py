"""sWUGGY and sBLIMP score as the official scorer does, and say what is wrong with data that it takes in silence."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slmzoo.cli import main
from slmzoo.evaluation.likelihood.pairs import Benchmark, accuracy, problems_of
from slmzoo.evaluation.likelihood.zerospeech import frequency_band, read_gold, read_scores, write_submission
from slmzoo.evaluation.report.results import items_of, read, score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from tests.reference import zerospeech_data as data
from tests.reference import zerospeech_scorer as official

QUICK = Bootstrap(resamples=20)
BANDS = {"oov": "oov", "1-4": "1-5", "5-19": "6-20", "20-99": "21-100", "100+": ">100"}


def ours(path: Path, task: str, scores: dict[str, float], by: tuple[str, ...]) -> dict:
    """Values by subset, as (items, value)."""
    pairs, problems = read_gold(path, task)
    assert not any(problems.values())
    rows = accuracy(pairs, scores)
    found = score_items("accuracy", rows, by, bootstrap=QUICK)
    return {tuple(s.subset.items()): (s.items, s.interval.value) for s in found}


def close(found: tuple, expected: tuple) -> bool:
    return found[0] == expected[0] and found[1] == pytest.approx(expected[1], abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_swuggy_is_that_of_the_official_scorer(tmp_path, seed):
    gold = data.lexical(seed, unknown=seed % 2 == 1)
    scores = data.scores(gold, seed)
    random.Random(seed).shuffle(gold)
    path = data.write_gold(tmp_path / "gold.csv", gold, data.LEXICAL)
    found = ours(path, "lexical", scores, ("in_vocabulary", "frequency_band", "length"))
    expected = official.lexical(gold, scores)
    assert found[()][1] == pytest.approx(expected["all"])
    assert found[("in_vocabulary", "yes"),][1] == pytest.approx(expected["in_vocab"])
    bands = {BANDS[key[0][1]]: v for key, v in found.items() if key and key[0][0] == "frequency_band"}
    assert bands.keys() == expected["frequency"].keys()
    assert all(close(bands[name], expected["frequency"][name]) for name in bands)
    lengths = {key[0][1]: v for key, v in found.items() if key and key[0][0] == "length"}
    assert lengths.keys() == expected["length"].keys()
    assert all(close(lengths[name], expected["length"][name]) for name in lengths)


@pytest.mark.parametrize("seed", range(8))
def test_sblimp_is_that_of_the_official_scorer(tmp_path, seed):
    gold = data.syntactic(seed)
    scores = data.scores(gold, seed)
    path = data.write_gold(tmp_path / "gold.csv", gold, data.SYNTACTIC)
    found = ours(path, "syntactic", scores, ("type",))
    expected = official.syntactic(gold, scores)
    assert found[()][1] == pytest.approx(expected["all"])
    assert all(close(found[("type", name),], value) for name, value in expected["type"].items())
    # Where the official scorer mispairs, ours stays what it is.
    random.Random(seed).shuffle(gold)
    shuffled = data.write_gold(tmp_path / "shuffled.csv", gold, data.SYNTACTIC)
    again = ours(shuffled, "syntactic", scores, ("type",))
    assert all(close(again[key], value) for key, value in found.items())
    assert official.syntactic(gold, scores)["all"] != pytest.approx(expected["all"])


def test_submissions_with_gaps_score_what_is_left_as_the_official_swuggy(tmp_path):
    gold = data.lexical(3)
    scores = data.scores(gold, 3)
    for row in gold[5:20]:
        del scores[row["filename"]]
    path = data.write_gold(tmp_path / "gold.csv", gold, data.LEXICAL)
    assert ours(path, "lexical", scores, ())[()][1] == pytest.approx(official.lexical(gold, scores)["all"])


@pytest.mark.parametrize(
    ("count", "band"),
    [("", ""), ("0", "oov"), ("1", "1-4"), ("5", "5-19"), ("20", "20-99"), ("99.0", "20-99"), ("1e6", "100+")]
)  # fmt: skip
def test_bands_begin_with_their_first_count(count, band):
    assert frequency_band(count) == band


def test_what_cannot_be_paired_is_named(tmp_path):
    gold = data.lexical(1, ids=4, voices=1)
    alone, twice, partner = gold[0], gold[2], gold[3]
    rows = [row for row in gold if row is not gold[1]] + [twice]
    pairs, problems = read_gold(data.write_gold(tmp_path / "gold.csv", rows, data.LEXICAL), "lexical")
    assert problems == {
        "duplicated": [twice["filename"]],
        "unpaired": sorted([alone["filename"], partner["filename"]]),
    }
    assert {name for pair in pairs for name in (pair.positive, pair.negative)} == {r["filename"] for r in gold[4:]}


def test_missing_and_extra_recordings_are_named(tmp_path):
    gold = data.syntactic(1, ids=6, voices=1)
    pairs, problems = read_gold(data.write_gold(tmp_path / "g.csv", gold, data.SYNTACTIC), "syntactic")
    benchmark = Benchmark(name="sblimp", pairs=pairs, files={}, problems=problems)
    there = {row["filename"] for row in gold[2:]} | {"stranger"}
    assert problems_of(benchmark, there) == {
        "missing": sorted(row["filename"] for row in gold[:2]),
        "extra": ["stranger"],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [({"correct": "yes"}, "correct 0 or 1"), ({"filename": ""}, "a recording"), (None, "a csv without voice")],
)
def test_gold_files_of_another_form_are_refused(tmp_path, change, message):
    gold = data.lexical(1, ids=2)
    columns = data.LEXICAL
    if change is None:
        columns = tuple(c for c in columns if c != "voice")
        gold = [{k: v for k, v in row.items() if k != "voice"} for row in gold]
    else:
        gold[0].update(change)
    with pytest.raises(ValueError, match=message):
        read_gold(data.write_gold(tmp_path / "gold.csv", gold, columns), "lexical")


@pytest.mark.parametrize("frequency", ["nan", "inf", "oov", "-1"])
def test_a_frequency_that_is_no_count_is_refused_with_its_place(tmp_path, frequency):
    gold = data.lexical(1, ids=2)
    gold[2]["frequency"] = frequency
    path = data.write_gold(tmp_path / "gold.csv", gold, data.LEXICAL)
    with pytest.raises(ValueError, match=rf"Row 3 of .*gold\.csv: `frequency` must .* but is '{frequency}'"):
        read_gold(path, "lexical")


def test_scores_are_read_back_to_the_bit_and_what_is_wrong_is_named(tmp_path):
    scores = {"a": -1 / 3, "b": -1e-17, "c": -12345.6789012345}
    write_submission(tmp_path, {("lexical", "dev"): scores, ("syntactic", "test"): {"d": 0.0}})
    assert read_scores(tmp_path / "lexical" / "dev.txt") == (scores, {"duplicated": [], "not a number": []})
    lines = (tmp_path / "lexical" / "dev.txt").read_text().splitlines()
    assert all(len(line.split(" ")) == 2 for line in lines)
    assert (tmp_path / "syntactic" / "test.txt").read_text() == "d 0.0\n"
    (tmp_path / "bad.txt").write_text("a 1\na 2\nb nan\nc x\nd 4\n")
    assert read_scores(tmp_path / "bad.txt") == ({"d": 4.0}, {"duplicated": ["a"], "not a number": ["b", "c"]})
    (tmp_path / "worse.txt").write_text("a 1 2\n")
    with pytest.raises(ValueError, match="line 1"):
        read_scores(tmp_path / "worse.txt")


def test_what_the_submitter_filled_in_stays(tmp_path):
    write_submission(tmp_path, {("lexical", "dev"): {"a": 1.0}})
    assert '  train_set: ""' in (tmp_path / "meta.yaml").read_text().splitlines()
    (tmp_path / "meta.yaml").write_text("mine: 1\n")
    write_submission(tmp_path, {("lexical", "dev"): {"a": 2.0}})
    assert (tmp_path / "meta.yaml").read_text() == "mine: 1\n"


def dataset(folder: Path, gold: list[dict]) -> Path:
    """The lexical part of a data set, with a moment of sound for each recording."""
    place = folder / "lexical" / "dev"
    data.write_gold(place / "gold.csv", gold, data.LEXICAL)
    for row in gold:
        soundfile.write(place / f"{row['filename']}.wav", np.tile([0.1, -0.1], 400), 16000)
    return folder


def test_a_given_submission_is_scored_on_the_command_line(tmp_path, capsys):
    gold = data.lexical(5, ids=12)
    scores = data.scores(gold, 5)
    where = dataset(tmp_path / "data", gold)
    given = data.write_scores(tmp_path / "dev.txt", scores)
    arguments = ["eval", "swuggy", str(where), "--scores", str(given), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--resamples", "50"]) == 0
    out = capsys.readouterr().out
    content = read(tmp_path / "out" / "swuggy-dev.json")
    assert content["scores"][0]["value"] == pytest.approx(official.lexical(gold, scores)["all"])
    assert content["conventions"] == {"scores": "dev.txt", "ties": 0.5}
    assert [json.loads(line) for line in out.splitlines()] == content["scores"]
    by_item = {row["item"]: float(row["value"]) for row in items_of(tmp_path / "out" / "swuggy-dev.json", "accuracy")}
    assert by_item == pytest.approx(official.lexical(gold, scores)["pairs"])


def test_gaps_are_refused_unless_they_are_allowed(tmp_path, capsys, caplog):
    gold = data.lexical(6, ids=12)
    scores = data.scores(gold, 6)
    lost = gold[0]["filename"]
    del scores[lost]
    given = data.write_scores(tmp_path / "dev.txt", {**scores, "stranger": -1.0})
    where = dataset(tmp_path / "data", gold)
    arguments = ["eval", "swuggy", str(where), "--scores", str(given), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert lost in err
    assert "stranger" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["swuggy-dev.problems.json"]
    assert main([*arguments, "--allow-missing", "--resamples", "50"]) == 0
    content = json.loads((tmp_path / "out" / "swuggy-dev.json").read_text())
    assert content["complete"] is False
    assert content["problems"] == {"missing": [lost], "extra": ["stranger"]}
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == len(content["scores"])
    assert "swuggy-dev.json is incomplete: 1 missing, 1 extra." in caplog.text


def test_a_submission_is_whole_or_not_written(tmp_path, capsys):
    gold = data.lexical(6, ids=12)
    scores = data.scores(gold, 6)
    where = dataset(tmp_path / "data", gold)
    given = data.write_scores(tmp_path / "dev.txt", scores)
    arguments = [
        "eval",
        "swuggy",
        str(where),
        "--scores",
        str(given),
        "--out",
        str(tmp_path / "out"),
        "--allow-missing",
    ]
    arguments += ["--resamples", "50", "--submission", str(tmp_path / "submission")]
    assert main(arguments) == 0
    assert read_scores(tmp_path / "submission" / "lexical" / "dev.txt")[0] == scores
    (tmp_path / "submission" / "lexical" / "dev.txt").unlink()
    data.write_scores(given, {name: value for name, value in scores.items() if name != gold[0]["filename"]})
    capsys.readouterr()
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert "accuracy" in output.out
    assert "`submission` must be of whole data, but is a set with 1 missing. It was not written." in output.err
    assert not (tmp_path / "submission" / "lexical" / "dev.txt").exists()
