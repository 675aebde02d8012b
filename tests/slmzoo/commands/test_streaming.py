"""`slmzoo stream` and `slmzoo web` as they are called."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmzoo import cli
from slmzoo.commands.speech.stream import samples_of
from tests.reference.recipe import GOLDEN

ROOT = Path(__file__).parents[3]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_units_of_a_file_are_written_one_by_one(registry, pipeline, capsys) -> None:
    arguments = ["stream", str(GOLDEN / "speech.wav"), "--zoo", "tiny", "--registry", str(registry), "--context", "1"]
    assert cli.main(arguments) == 0
    found = lines(capsys)
    wav, rate = audio.load(GOLDEN / "speech.wav")
    assert found[0]["start"] == 0
    for one, other in pairwise(found):
        assert other["start"] == pytest.approx(one["start"] + one["seconds"])
        assert other["unit"] != one["unit"]
    last = found[-1]
    assert last["start"] + last["seconds"] == pytest.approx(pipeline.units(wav, rate).seconds)


def test_raw_samples_on_the_standard_input_give_the_same(registry, tmp_path, capsys, monkeypatch) -> None:
    wav, rate = audio.load(GOLDEN / "speech.wav")
    audio.write(tmp_path / "talk.wav", wav[:, :16001], rate)
    chosen = ["--zoo", "tiny", "--registry", str(registry)]
    assert cli.main(["stream", str(tmp_path / "talk.wav"), *chosen]) == 0
    wanted = lines(capsys)
    raw = (audio.load(tmp_path / "talk.wav")[0][0] * 32768).round().to(torch.int16).numpy().tobytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(raw))))
    assert cli.main(["stream", "-", "--rate", str(rate), *chosen]) == 0
    assert lines(capsys) == wanted


def test_samples_that_are_cut_in_two_are_joined() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(3)

    content = torch.arange(-4, 4, dtype=torch.int16).numpy().tobytes()
    found = torch.cat(list(samples_of(Slow(content), 16000)))
    assert (found * 32768).tolist() == list(range(-4, 4))


def test_wrong_timings_are_refused(capsys) -> None:
    assert cli.main(["stream", "a.wav", "--zoo", "demo", "--step", "0"]) == 2
    assert "`step` must be a number of seconds" in capsys.readouterr().err


def test_the_page_is_served_until_it_is_interrupted() -> None:
    code = "import sys; from slmzoo.cli import main; sys.exit(main(['web', '--port', '0', '--no-open']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        address = running.stdout.readline().split()[1]
        with urllib.request.urlopen(address, timeout=60) as page:
            assert "Speak, and see" in page.read().decode()
        running.send_signal(2)
        assert running.wait(timeout=60) in (0, 130)


def test_a_missing_server_library_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["web", "--no-open"]) == 1
    assert "pip install 'slmzoo[web]'" in capsys.readouterr().err


def test_a_zoo_that_is_not_here_is_told(capsys) -> None:
    assert cli.main(["web", "--zoo", "dp-slm", "--no-open"]) == 2
    assert "slmzoo fetch --zoo dp-slm" in capsys.readouterr().err
