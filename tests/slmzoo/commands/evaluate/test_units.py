from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from dpdp import bits_per_second
from slmcore import audio, shards
from slmzoo.cli import main
from slmzoo.evaluation.report.compare import compare_results
from slmzoo.evaluation.units.abx import cells, cut, error_rate, read_items, tables
from slmzoo.evaluation.units.textgrid import phones

TEXTGRID = '"ooTextFile" "TextGrid" 0 {end} <exists> 1 "IntervalTier" "phones" 0 {end} 3 {rows}'


@pytest.fixture(autouse=True)
def _tiny_zoo(registry, monkeypatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")


@pytest.fixture
def data(tmp_path: Path, speech) -> Path:
    """Four clips, their alignments, and items of two speakers."""
    wav, sr = speech
    for folder in ("wavs", "aligned"):
        (tmp_path / folder).mkdir()
    lines = ["#file onset offset #phone prev-phone next-phone speaker\n"]
    for i in range(4):
        audio.write(tmp_path / "wavs" / f"c{i}.wav", wav[:, i * sr // 3 :][:, :sr], sr)
        rows = '0 0.3 "a" 0.3 0.6 "b" 0.6 1 ""'
        (tmp_path / "aligned" / f"c{i}.TextGrid").write_text(TEXTGRID.format(end=1, rows=rows))
        times = [(0.0, 0.2, "a"), (0.25, 0.45, "b"), (0.5, 0.7, "a"), (0.7, 0.95, "b")]
        lines += [f"c{i} {onset:g} {offset:g} {phone} x y s{i % 2}\n" for onset, offset, phone in times]
    (tmp_path / "tri.item").write_text("".join(lines))
    return tmp_path


def run(*arguments: object) -> int:
    return main(["eval", *map(str, arguments), "--zoo", "tiny", "--resamples", "50"])


def result(folder: Path, task: str) -> tuple[dict, dict[str, dict]]:
    """A result, and its scores by metric."""
    content = json.loads((folder / f"{task}.json").read_text())
    return content, {score["metric"]: score for score in content["scores"]}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_units_and_their_phones(data, pipeline, capsys):
    out = data / "out"
    assert run("units", data / "wavs", "--alignments", data / "aligned", "--out", out) == 0
    assert "bit_rate" in capsys.readouterr().out
    content, scores = result(out, "units")
    made = [pipeline.units(*audio.load(data / "wavs" / f"c{i}.wav")) for i in range(4)]
    assert scores["bit_rate"]["value"] == pytest.approx(bits_per_second(made))
    assert scores["codes_used"]["value"] == len({u for each in made for u in each.units.tolist()})
    assert scores["bit_rate"]["low"] <= scores["bit_rate"]["value"]
    parts = rows(out / "units.bit_rate.csv")
    total = sum(float(r["value"]) * float(r["weight"]) for r in parts) / sum(float(r["weight"]) for r in parts)
    assert total == pytest.approx(scores["bit_rate"]["value"])
    assert 0 < scores["pnmi"]["value"] < 1
    assert 0 < scores["boundary_recall"]["value"] <= 1
    assert scores["boundary_recall"]["items"] == 4
    assert content["complete"]
    assert (content["conventions"]["k"], content["conventions"]["tolerance"]) == (20, 0.02)
    assert content["conventions"]["convention"] == "slmzoo"
    assert len(content["models"]["codebook"]["sha256"]) == 64
    assert run("units", data / "wavs", "--convention", "gslm", "--out", out) == 2
    assert "`convention` must be 'slmzoo' for other units" in capsys.readouterr().err


def test_shards_give_the_same_as_audio_and_so_does_a_second_run(data):
    assert run("units", data / "wavs", "--out", data / "a") == 0
    first = (data / "a" / "units.json").read_text()
    assert run("units", data / "wavs", "--out", data / "a") == 0
    again = json.loads((data / "a" / "units.json").read_text())
    assert again == json.loads(first)
    assert run("units", data / "a" / "units" / "units-00000.parquet", "--shards", "--out", data / "b") == 0
    assert result(data / "b", "units")[1]["bit_rate"] == result(data / "a", "units")[1]["bit_rate"]
    assert len(list(shards.read(data / "a" / "units" / "units-00000.parquet"))) == 4


def test_units_of_a_corpus_in_folders_are_known_by_their_stems(data, capsys):
    arguments = ("--item", data / "tri.item", "--on", "units", "--context", "any")
    assert run("abx", data / "wavs", *arguments, "--out", data / "audio") == 0
    for i in range(4):
        (data / "corpus" / f"s{i % 2}").mkdir(parents=True, exist_ok=True)
        (data / "wavs" / f"c{i}.wav").rename(data / "corpus" / f"s{i % 2}" / f"c{i}.wav")
    made = data / "shards"
    assert main(["units", str(data / "corpus"), "--out", str(made), "--zoo", "tiny"]) == 0
    assert [record.id for record in shards.read(made)] == ["s0/c0", "s0/c2", "s1/c1", "s1/c3"]
    assert run("abx", made, "--shards", *arguments, "--out", data / "out") == 0
    content, scores = result(data / "out", "abx")
    assert scores == result(data / "audio", "abx")[1]
    assert content["models"]["units"]["file"] == "shards"
    assert content["models"]["units"]["operating_point"]["k"] == 20
    assert len(content["models"]["units"]["sha256"]) == 64
    assert run("units", made, "--shards", "--alignments", data / "aligned", "--out", data / "out") == 0
    assert result(data / "out", "units")[1]["pnmi"]["items"] == 4

    shutil.copy(data / "corpus" / "s0" / "c0.wav", data / "corpus" / "s1" / "c0.wav")
    assert main(["units", str(data / "corpus"), "--out", str(data / "twice"), "--zoo", "tiny"]) == 0
    capsys.readouterr()
    assert run("units", data / "twice", "--shards", "--out", data / "out") == 2
    assert "c0" in capsys.readouterr().err


@pytest.mark.parametrize("on", ["features", "units"])
def test_abx_is_that_of_the_frames(data, pipeline, on):
    assert run("abx", data / "wavs", "--item", data / "tri.item", "--on", on, "--out", data / "out") == 0
    content, scores = result(data / "out", "abx")
    items = read_items(data / "tri.item")
    frames = {}
    for file in {item.file for item in items}:
        wav, sr = audio.load(data / "wavs" / f"{file}.wav")
        frames[file] = (
            pipeline.encoder.features(wav, sr, pipeline.operating_point.layer)
            if on == "features"
            else pipeline.units(wav, sr).framewise()
        )
    distance = "angular" if on == "features" else "identical"
    for speaker in ("within", "across"):
        pieces = cut(frames, items, 50.0)
        expected = error_rate(tables(cells(pieces, items, speaker=speaker, distance=distance)))
        assert scores[f"abx_{speaker}"]["value"] == pytest.approx(expected)
        assert scores[f"abx_{speaker}"]["items"] == 2
    found = rows(data / "out" / "abx.abx_across.csv")
    assert [row["item"] for row in found] == ["a/b s0", "a/b s1", "b/a s0", "b/a s1"]
    whole, _ = compare_results(*[data / "out" / "abx.json"] * 2)
    assert (whole.comparison.items, whole.comparison.first) == (2, pytest.approx(scores[whole.metric]["value"]))
    assert content["conventions"]["distance"] == distance


def test_what_is_wrong_is_named_and_scored_only_if_asked(data, capsys):
    (data / "wavs" / "c1.wav").unlink()
    (data / "wavs" / "c2.wav").write_bytes(b"")
    (data / "aligned" / "c3.TextGrid").write_text("no TextGrid")
    audio.write(data / "wavs" / "more.wav", audio.load(data / "wavs" / "c0.wav")[0], 16000)
    (data / "tri.item").open("a").write("c0 0.500 0.501 a x y s0\n")

    assert run("units", data / "wavs", "--alignments", data / "aligned", "--out", data / "out") == 2
    errors = capsys.readouterr().err
    assert all(name in errors for name in ("c1", "c2", "c3.TextGrid", "more"))
    assert not (data / "out" / "units.json").exists()
    arguments = ("--out", data / "out", "--allow-missing")
    assert run("units", data / "wavs", "--alignments", data / "aligned", *arguments) == 0
    content, scores = result(data / "out", "units")
    assert not content["complete"]
    assert content["problems"]["unreadable"] == ["c2"]
    assert content["problems"]["missing alignments"] == ["c3", "more"]
    assert (scores["bit_rate"]["items"], scores["pnmi"]["items"]) == (3, 1)

    assert run("abx", data / "wavs", "--item", data / "tri.item", "--out", data / "out") == 2
    errors = capsys.readouterr().err
    assert all(name in errors for name in ("c1", "c2", "more", "c0 0.5 0.501"))
    assert run("abx", data / "wavs", "--item", data / "tri.item", "--speakers", "within", *arguments) == 0
    content, scores = result(data / "out", "abx")
    assert content["problems"]["missing recordings"] == ["c1"]
    assert content["problems"]["extra recordings"] == ["more"]
    assert list(scores) == ["abx_within"]


def test_what_holds_nothing_is_refused(data, capsys):
    (data / "none").mkdir()
    assert run("units", data / "none", "--out", data / "out") == 2
    assert "holds no recording" in capsys.readouterr().err
    assert run("abx", data / "wavs", "--item", data / "tri.item", "--shards", "--out", data / "out") == 2
    assert "--on units" in capsys.readouterr().err


@pytest.mark.parametrize("layer", [0, -1, 99])
def test_a_layer_that_the_encoder_does_not_have_is_refused(data, capsys, layer):
    assert run("abx", data / "wavs", "--item", data / "tri.item", "--layer", layer, "--out", data / "out") == 2
    assert f"`layer` must be a block number from 1 to 4, but is {layer}" in capsys.readouterr().err
    assert not (data / "out" / "abx.json").exists()
    call = ("abx", data / "wavs", "--item", data / "tri.item", "--on", "units", "--layer", 1, "--out", data / "out")
    assert run(*call) == 2
    assert "`layer` must be left out where units are compared" in capsys.readouterr().err


def test_alignments_are_read_as_they_stand(data):
    assert [phone.label for phone in phones(data / "aligned" / "c0.TextGrid")] == ["a", "b", "sil"]
