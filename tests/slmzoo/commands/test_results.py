"""What commands write: lines for a person on a terminal, JSONL elsewhere, with --json, or in a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from slmcore import audio
from slmzoo.cli import main
from slmzoo.commands.results import ResultsCommand, number
from slmzoo.commands.train import Training
from tests.reference.recipe import GOLDEN


@pytest.fixture(autouse=True)
def _tiny_zoo(registry, monkeypatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[str]:
    wav, sr = audio.load(GOLDEN / "speech.wav")
    folder = tmp_path_factory.mktemp("clips")
    for name, first in (("one", 0), ("two", 8000)):
        audio.write(folder / f"{name}.wav", wav[:, first : first + 12000], sr)
    return [str(folder / "one.wav"), str(folder / "two.wav")]


def shown(capsys, *arguments: object) -> list[str]:
    assert main([str(a) for a in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_units_for_a_person(capsys, clips, terminal, pipeline):
    lines = shown(capsys, "units", *clips, "--zoo", "tiny")
    units = pipeline.units(*audio.load(clips[1])).units.tolist()
    second = next(i for i, line in enumerate(lines) if line.startswith(clips[1]))
    assert lines[0].startswith(f"{clips[0]}: ")
    assert f": {len(units)} units in 0.74 s, " in lines[second]
    assert [int(u) for line in lines[second + 1 :] for u in line.split()] == units


def test_shards_for_a_person(capsys, clips, tmp_path, terminal):
    (line,) = shown(capsys, "units", *clips, "--zoo", "tiny", "--out", tmp_path / "o", "--workers", 1)
    assert line.startswith(f"{tmp_path / 'o'}")
    assert " units of 2 recordings, " in line


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_scores_for_a_person(capsys, clips, terminal, pipeline, reduction):
    units = pipeline.units(*audio.load(clips[1]))
    value = pipeline.loglikelihood(units)
    line = shown(capsys, "score", *clips, "--zoo", "tiny", "--reduction", reduction)[1]
    assert f"{value / len(units):.3f}" in line
    assert f"({len(units)} units)" in line
    assert (f"{value:.1f} nats" in line) == (reduction == "sum")


def test_speech_for_a_person(capsys, clips, terminal, tmp_path):
    common = ("--zoo", "tiny", "--out", tmp_path, "--num-samples", 2)
    (line,) = shown(capsys, "resynth", clips[0], *common)
    assert all(f"{tmp_path / name} (" in line for name in ("one-1.wav", "one-2.wav"))
    assert line.endswith(f"picture: {tmp_path / 'one.png'}")
    (line,) = shown(capsys, "continue", *common, "--max-new-units", 5)
    assert line.startswith("from nothing: 0 units continued by ")


def test_models_for_a_person(capsys, terminal, tmp_path, registry):
    lines = shown(capsys, "fetch", 20, 4, "--zoo", "tiny")
    assert lines[2].startswith("tiny ulm 20 4: ")
    assert shown(capsys, "verify", "--zoo", "tiny")[2].startswith("tiny ulm 20 4: verified, ")
    target = tmp_path / "ulm.safetensors"
    assert shown(capsys, "convert", registry.parent / "ulm.pt", target) == [f"{target}: ulm"]


@pytest.mark.parametrize("command", [["units"], ["score"]])
def test_json_on_a_terminal_is_what_a_pipe_gets(capsys, clips, monkeypatch, command):
    piped = shown(capsys, *command, *clips, "--zoo", "tiny")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert shown(capsys, *command, *clips, "--zoo", "tiny", "--json") == piped
    assert [Path(json.loads(line)["file"]).name for line in piped] == ["one.wav", "two.wav"]


def test_a_file_of_results_leaves_the_terminal_to_the_person(capsys, clips, terminal, tmp_path):
    target = tmp_path / "r.jsonl"
    lines = shown(capsys, "score", *clips, "--zoo", "tiny", "--jsonl", target)
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == len(rows) == 2
    assert not lines[1].startswith("{")
    assert rows[1]["file"] == clips[1]


def test_list_as_rows(capsys, tmp_path):
    rows = [json.loads(line) for line in shown(capsys, "list", "--zoo", "tiny")]
    assert {row["zoo"] for row in rows} == {"tiny"}
    assert len(rows) == 5


def test_training_for_a_person(capsys, terminal):
    row = {"zoo": "mine", "kind": "ulm", "k": 20, "lmbda": 4.0, "step": 300, "loss": 1.23456, "bits_per_second": None}
    Training(settings=None, train=lambda _: [row]).run()
    assert capsys.readouterr().out == "ulm added to zoo mine: k 20, lmbda 4, step 300, loss 1.23456\n"


def test_any_result_for_a_person(capsys, terminal):
    with ResultsCommand().results() as write:
        write({"name": "x", "value": 0.12345678, "nothing": None})
    assert capsys.readouterr().out == "name x, value 0.123457\n"


@pytest.mark.parametrize(
    ("value", "text"), [(4500.0, "4500"), (0.00012345, "0.00012345"), (7, "7"), ("a", "a"), (-0.1, "-0.1")]
)
def test_numbers(value, text):
    assert number(value) == text


def test_quiet_and_verbose(clips, caplog, monkeypatch):
    log = logging.getLogger("slmzoo.commands.corpus.units")

    def run(_self) -> int:
        log.info("detail")
        log.warning("caution")
        log.error("fault")
        return 0

    monkeypatch.setattr("slmzoo.commands.corpus.units.UnitsOf.run", run)
    messages = []
    for given in ("", "-q", "-v", ""):
        caplog.clear()
        assert main(["units", clips[0], *given.split()]) == 0
        messages.append([record.getMessage() for record in caplog.records if record.name == log.name])
    usual = ["caution", "fault"]
    assert messages == [usual, ["fault"], ["detail", *usual], usual]
