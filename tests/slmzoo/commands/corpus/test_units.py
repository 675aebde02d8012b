from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slmcore import audio, shards
from slmzoo.cli import main
from slmzoo.commands.corpus.units import UnitsOf
from tests.reference.recipe import GOLDEN

pytest.importorskip("pyarrow")


@pytest.fixture(autouse=True)
def _tiny_zoo(registry, monkeypatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("speech")
    wav, sr = audio.load(GOLDEN / "speech.wav")
    for i in range(4):
        audio.write(found / f"{i}.wav", wav[:, 8000 * i : 8000 * i + 16000], sr)
    return found


def run(capsys, *arguments: object) -> tuple[int, list[dict], str]:
    status = main(["units", *map(str, arguments), "--zoo", "tiny"])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def total_rate(rows: list[dict]) -> float:
    return sum(len(row["units"]) for row in rows) / sum(row["seconds"] for row in rows)


def test_a_corpus_holds_what_the_lines_say(capsys, folder, tmp_path):
    _, lines, _ = run(capsys, folder)
    status, (row,), _ = run(capsys, folder, "--out", tmp_path / "o")
    assert status == 0
    assert (row["records"], row["units"], row["zoo"], row["k"]) == (4, sum(len(r["units"]) for r in lines), "tiny", 20)
    assert row["hours"] == pytest.approx(sum(r["seconds"] for r in lines) / 3600, abs=1e-4)
    records = list(shards.read(tmp_path / "o"))
    assert [r.units.units.tolist() for r in records] == [line["units"] for line in lines]
    assert [r.units.durations.tolist() for r in records] == [line["durations"] for line in lines]


def test_rubbish_is_status_1_and_named(capsys, folder, tmp_path):
    corpus = tmp_path / "in"
    shutil.copytree(folder, corpus)
    (corpus / "9.wav").write_bytes(b"rubbish")
    for _ in range(2):
        status, (row,), err = run(capsys, corpus, "--out", tmp_path / "o")
        assert (status, row["records"]) == (1, 4)
        assert "1 inputs gave no units" in err
        assert "failed.jsonl" in err
    shutil.copy(folder / "0.wav", corpus / "9.wav")
    status, (row,), err = run(capsys, corpus, "--out", tmp_path / "o", "--retry-failed")
    assert (status, row["records"], err.count("slmzoo:")) == (0, 5, 0)


@pytest.mark.parametrize("what", ["empty", "gone"])
def test_nothing_to_do(capsys, tmp_path, what):
    (tmp_path / "empty").mkdir()
    status, rows, err = run(capsys, tmp_path / what, "--out", tmp_path / "o")
    assert (status, rows) == (1, [])
    assert what in err
    assert not list((tmp_path / "o").glob("*.json"))


def test_a_wanted_rate_of_lines(capsys, folder):
    rates = {rate: total_rate(run(capsys, folder, "--rate", rate)[1]) for rate in (10, 20)}
    assert all(found == pytest.approx(rate, rel=0.05) for rate, found in rates.items())
    lines = run(capsys, folder, "--rate", 20)[1]
    (lmbda,) = {line["lmbda"] for line in lines}
    again = run(capsys, folder, "--lmbda", lmbda)[1]
    assert [line["units"] for line in again] == [line["units"] for line in lines]


def test_a_wanted_rate_of_a_corpus_stays_that_of_its_beginning(capsys, folder, tmp_path, monkeypatch):
    corpus = tmp_path / "in"
    shutil.copytree(folder, corpus)
    _, (first,), _ = run(capsys, corpus, "--out", tmp_path / "o", "--rate", 20)
    assert first["units_per_second"] == pytest.approx(20, rel=0.05)
    (corpus / "0.wav").unlink()
    _, (second,), _ = run(capsys, corpus, "--out", tmp_path / "o", "--rate", 20)
    assert second == first
    status, _, err = run(capsys, corpus, "--out", tmp_path / "o", "--rate", 10)
    assert (status, "rate was 20.0, now 10.0" in err) == (2, True)


def test_progress_goes_to_standard_error(folder, tmp_path):
    """In a process of its own, as pytest takes the log."""
    change = "from slmzoo.corpus import run; run.SECONDS_BETWEEN_LINES = 0.0; from slmzoo.cli import main; main()"
    arguments = ["units", str(folder), "--out", str(tmp_path / "o"), "--zoo", "tiny", "--workers", "1"]
    done = subprocess.run([sys.executable, "-c", change, *arguments], capture_output=True, text=True, check=True)
    assert "x real time" in done.stderr
    assert done.stdout.count("\n") == 1


def test_what_changed_is_taken_with_update(capsys, folder, tmp_path):
    corpus = tmp_path / "in"
    shutil.copytree(folder, corpus)
    (corpus / "notes.txt").write_text("x")
    _, (row,), _ = run(capsys, corpus, "--out", tmp_path / "o")
    assert (row["records"], row["left_out"]) == (4, {".txt": 1})
    shutil.copy(corpus / "0.wav", corpus / "new.wav")
    (corpus / "1.wav").unlink()
    status, (same,), _ = run(capsys, corpus, "--out", tmp_path / "o")
    assert (status, same) == (0, row)
    status, (row,), _ = run(capsys, corpus, "--out", tmp_path / "o", "--update")
    assert (status, row["records"]) == (0, 4)
    assert [record.id for record in shards.read(tmp_path / "o")] == ["0", "2", "3", "new"]


def test_a_corpus_in_a_line_for_a_person():
    row = {"out": "o", "records": 0, "units": 0, "hours": 0.0, "units_per_second": None, "left_out": {}}
    line = UnitsOf(inputs=["in"]).line
    assert line(row) == "o: 0 units of 0 recordings, 0 h"
    some = line({**row, "units_per_second": 12.34, "left_out": {".txt": 2, ".xyz": 1}})
    assert some == "o: 0 units of 0 recordings, 0 h, 12.3 per second; not audio, left out: 2 .txt, 1 .xyz"


NO_FILES = ["s3://bucket/a.wav", "file:///a.wav", "l.csv", "0.tar", "l.jsonl.gz", "huggingface:a:b"]


@pytest.mark.parametrize("command", ["units", "score"])
@pytest.mark.parametrize("source", NO_FILES)
def test_what_only_a_corpus_may_be_says_so(capsys, command, source):
    status = main([command, source, "--zoo", "tiny"])
    err = capsys.readouterr().err
    assert status == 2
    assert f"`AUDIO` must be files, folders or patterns of this machine, but is '{source}'." in err
    assert "`slmzoo units` reads it with --out DIR" in err


def test_a_folder_may_be_called_as_a_list(capsys, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "l.csv")
    status, rows, _ = run(capsys, tmp_path / "l.csv")
    assert (status, len(rows)) == (0, 4)


def test_several_points(capsys, folder, tmp_path):
    _, rows, _ = run(capsys, folder, "--out", tmp_path / "o", "--points", "20:4", "20:100.5")
    assert [(row["k"], row["lmbda"]) for row in rows] == [(20, 4.0), (20, 100.5)]
    assert [Path(row["out"]).name for row in rows] == ["k20-lmbda4", "k20-lmbda100.5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "20", "--lmbda", "3"], "--rate chooses lambda itself"),
        (["--rate", "1e9"], "what these features and num_neighbors can reach"),
        (["--points", "20:4"], "--points is for whole corpora: give --out too"),
        (["--retry-failed"], "--retry-failed is for whole corpora"),
        (["--update"], "--update is for whole corpora"),
        (["--workers", "2"], "--workers is for whole corpora"),
        (["--out", "o", "--points", "20"], "must be like 500:4500"),
        (["--out", "o", "--points", "20:4", "--k", "20"], "leave out --k and --lmbda"),
        (["--out", "o", "--workers", "0"], "--workers must be 1 or more"),
        (["--out", "o", "--shard-minutes", "0"], "--shard-minutes must be a number > 0"),
        (["--batch-seconds", "60"], "--batch-seconds is for whole corpora"),
        (["--out", "o", "--batch-seconds", "0"], "`batch_seconds` must be a number > 0, but is 0.0"),
        (["--out", "o", "--address", "x"], "--address is for --engine ray"),
    ],
)
def test_wrong_usage(capsys, folder, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, folder, *options)
    assert status == 2
    assert message in err
    assert not list(tmp_path.glob("o/*.json"))


def test_what_is_told_on_the_way(capsys, folder, tmp_path, monkeypatch):
    """Progress goes to a terminal only; here it is made to think that it has one."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    _, _, err = run(capsys, folder, "--out", tmp_path / "o")
    assert "x real time" in err
    assert "left" in err
