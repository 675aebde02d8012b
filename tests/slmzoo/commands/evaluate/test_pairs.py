"""From the recordings of a benchmark to its result: the same when killed and started again, whatever the order."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from slmcore import audio, shards
from slmcore.files.digests import sha256_of
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.cli import main
from slmzoo.evaluation.likelihood.conventions import PRESETS, loglikelihoods
from slmzoo.evaluation.report.results import items_of, read
from slmzoo.evaluation.units import unit_store
from slmzoo.pipeline import Pipeline
from slmzoo.systems import dp_slm

LIKELIHOODS = "pairs.loglikelihood.csv"


@pytest.fixture
def pairs(tmp_path, speech) -> Path:
    """Four pairs of half-second clips."""
    wav, rate = speech
    rows = ["item,voice,positive,negative,kind"]
    for i in range(8):
        audio.write(tmp_path / f"{i}.wav", wav[:, 4000 * i : 4000 * i + 8000], rate)
    rows += [f"w{i // 4},v{i},{i}.wav,{i + 1}.wav,{'ab'[i // 4]}" for i in range(0, 8, 2)]
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "pairs.csv"


@pytest.fixture
def run(registry, pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))

    def call(*more: object, out: str = "out") -> int:
        arguments = ["eval", "pairs", pairs, "--zoo", "tiny", "--resamples", 50, "--out", tmp_path / out, *more]
        return main([str(a) for a in arguments])

    return call


def test_the_result_is_that_of_the_pipeline(run, tmp_path, pairs, pipeline):
    assert run("--by", "kind") == 0
    content = read(tmp_path / "out" / "pairs.json")
    scores = {r["item"]: float(r["value"]) for r in items_of(tmp_path / "out" / "pairs.json", "loglikelihood")}
    expected = [pipeline.loglikelihood(wav=audio.load(tmp_path / f"{i}.wav")[0], sr=16000) for i in range(8)]
    assert [scores[f"{i}.wav"] for i in range(8)] == pytest.approx(expected, abs=1e-4)
    wins = [float(a > b) for a, b in zip(expected[::2], expected[1::2], strict=True)]
    assert [s["value"] for s in content["scores"]] == [sum(wins) / 4, sum(wins[:2]) / 2, sum(wins[2:]) / 2]
    assert content["scores"][0]["items"] == 2
    assert content["conventions"]["reduction"] == "sum"
    assert content["conventions"]["same_as"] == ["dpslm", "zerosyl"]
    assert {len(m["sha256"]) for m in content["models"].values()} == {64}
    assert set(content["models"]) == {"wavlm", "codebook", "ulm"}


def test_conventions_are_chosen_and_written_down(run, tmp_path, pipeline):
    assert run("--convention", "slamkit", "--eos", "no") == 0
    content = read(tmp_path / "out" / "pairs.json")
    assert {k: content["conventions"][k] for k in ("reduction", "bos", "eos", "same_as")} == {
        "reduction": "mean", "bos": True, "eos": False, "same_as": [],
    }  # fmt: skip
    value = float(items_of(tmp_path / "out" / "pairs.json", "loglikelihood")[0]["value"])
    wav, rate = audio.load(tmp_path / "0.wav")
    units = pipeline.units(wav, rate)
    assert value == pytest.approx(pipeline.loglikelihood(units) / len(units), abs=1e-4)


def test_a_run_that_was_killed_gives_the_same_files(run, tmp_path, monkeypatch):
    monkeypatch.setattr(unit_store, "RECORDINGS_PER_SHARD", 3)
    assert run(out="whole") == 0
    seen: list[int] = []
    whole = Pipeline.units

    def killed(self, wav, sr):
        seen.append(1)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return whole(self, wav, sr)

    monkeypatch.setattr(Pipeline, "units", killed)
    assert run(out="cut") == 130
    assert not (tmp_path / "cut" / "pairs.json").exists()
    assert run(out="cut") == 0
    assert len(seen) == 5 + 5  # the first block of three was kept
    for name in ("pairs.accuracy.csv", LIKELIHOODS):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    first, second = (json.loads((tmp_path / out / "pairs.json").read_text()) for out in ("whole", "cut"))
    assert first.pop("command")
    assert second.pop("command")
    assert first == second


def test_units_are_made_anew_for_other_files_or_models(tmp_path, pipeline, speech):
    wav, rate = speech
    audio.write(tmp_path / "a.wav", wav[:, :8000], rate)
    files, store = {"a": tmp_path / "a.wav"}, tmp_path / "store"
    first, _ = unit_store.units_of(pipeline, files, store, {"wavlm": "1"})
    audio.write(tmp_path / "a.wav", wav[:, 8000:20000], rate)
    second, _ = unit_store.units_of(pipeline, files, store, {"wavlm": "1"})
    assert not torch.equal(first["a"].framewise(), second["a"].framewise())
    made: list[int] = []
    pipeline_units = Pipeline.units
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "units", lambda self, *a: made.append(1) or pipeline_units(self, *a))
        unit_store.units_of(pipeline, files, store, {"wavlm": "1"})
        assert made == []
        unit_store.units_of(pipeline, files, store, {"wavlm": "2"})
        assert made == [1]


def test_what_cannot_be_read_is_named_and_left_out_when_allowed(run, tmp_path, capsys):
    (tmp_path / "2.wav").write_bytes(b"")
    audio.write(tmp_path / "6.wav", torch.zeros(1, 8000), 16000)
    (tmp_path / "1.wav").unlink()
    assert run() == 2
    assert "1 missing (1.wav); 2 unreadable (2.wav, 6.wav)" in capsys.readouterr().err
    assert run("--allow-missing") == 0
    content = read(tmp_path / "out" / "pairs.json")
    assert content["complete"] is False
    assert content["problems"] == {"missing": ["1.wav"], "unreadable": ["2.wav", "6.wav"]}
    assert [row["item"] for row in items_of(tmp_path / "out" / "pairs.json", "accuracy")] == ["w1"]


def test_units_on_disk_take_the_place_of_audio(run, tmp_path, pipeline, monkeypatch):
    assert run() == 0
    monkeypatch.delattr(dp_slm, "wavlm")
    records = [r for shard in sorted((tmp_path / "out" / "units").iterdir()) for r in shards.read(shard)]
    for name in range(8):
        (tmp_path / f"{name}.wav").unlink()
    shards.write(tmp_path / "own.parquet", reversed(records), {})
    assert run("--units", tmp_path / "own.parquet", out="again") == 0
    models = read(tmp_path / "again" / "pairs.json")["models"]
    assert set(models) == {"ulm", "units"}
    assert models["ulm"] == read(tmp_path / "out" / "pairs.json")["models"]["ulm"]
    assert models["units"] == {
        "file": "own.parquet",
        "sha256": sha256_of(tmp_path / "own.parquet"),
        "operating_point": asdict(pipeline.operating_point),
    }
    one, other = ((tmp_path / out / "pairs.accuracy.csv").read_bytes() for out in ("out", "again"))
    assert one == other
    values = loglikelihoods(pipeline.ulm, [r.units for r in records], PRESETS["dpslm"])
    found = {r["item"]: float(r["value"]) for r in items_of(tmp_path / "again" / "pairs.json", "loglikelihood")}
    assert found == pytest.approx({r.id: v for r, v in zip(records, values, strict=True)}, abs=1e-4)
    lacking = [Record(r.id, r.units, r.samples, r.sample_rate) for r in records[1:]]
    shards.write(tmp_path / "own.parquet", lacking, {})
    assert run("--units", tmp_path / "own.parquet", out="more") == 2


def test_a_recording_of_one_unit_is_named_where_nothing_of_it_is_scored(run, tmp_path, capsys):
    made = [Units(torch.tensor(u), torch.ones(len(u), dtype=torch.int64), 50.0) for u in ([7], *[[1, 2, 3]] * 7)]
    shards.write(tmp_path / "own.parquet", [Record(f"{i}", u, 8000, 16000) for i, u in enumerate(made)], {})
    own = ("--units", tmp_path / "own.parquet", "--convention", "twist")
    assert run(*own) == 2
    assert "1 too short to score, unless one unit is by --bos yes (0.wav)" in capsys.readouterr().err
    assert run(*own, "--allow-missing") == 0
    content = read(tmp_path / "out" / "pairs.json")
    assert list(content["problems"].values()) == [["0.wav"]]
    assert [row["item"] for row in items_of(tmp_path / "out" / "pairs.json", "loglikelihood")] == [
        f"{i}.wav" for i in range(1, 8)
    ]
    assert run(*own, "--bos", "yes") == 0


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_units_are_found_by_names_without_an_extension(run, pairs, tmp_path, suffix):
    assert run() == 0
    pairs.write_text(pairs.read_text().replace(".wav", suffix))
    kept = [r for shard in (tmp_path / "out" / "units").iterdir() for r in shards.read(shard)]
    bare = [Record(r.id.removesuffix(".wav"), r.units, r.samples, r.sample_rate) for r in kept]
    shards.write(tmp_path / "bare.parquet", bare, {})
    assert run("--units", tmp_path / "bare.parquet", out="again") == 0
    for name in ("pairs.accuracy.csv", LIKELIHOODS):
        expected = (tmp_path / "out" / name).read_text().replace(".wav", suffix)
        assert (tmp_path / "again" / name).read_text() == expected


def test_folders_have_no_columns_to_group_by(tmp_path, capsys):
    assert main(["eval", "pairs", str(tmp_path), "--zoo", "tiny", "--by", "voice", "--out", str(tmp_path / "out")]) == 2
    assert "`by` must be left out for folders" in capsys.readouterr().err


@pytest.mark.gpu
def test_a_gpu_gives_the_same_scores(run, tmp_path):
    """Units may differ where two codes are as near; those of the CPU are scored on both."""
    assert run("--device", "cpu", out="cpu") == 0
    shard = tmp_path / "cpu" / "units" / "units-00000.parquet"
    found = {}
    for device in ("cpu", "cuda"):
        assert run("--units", shard, "--device", device, out=device) == 0
        rows = items_of(tmp_path / device / "pairs.json", "loglikelihood")
        found[device] = [float(row["value"]) for row in rows]
    assert found["cuda"] == pytest.approx(found["cpu"], rel=1e-4)
