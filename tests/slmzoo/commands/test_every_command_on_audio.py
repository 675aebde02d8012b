"""What all commands on audio have in common: failures, result files, models, wrong operating points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def broken(folder: Path) -> dict[str, Path]:
    """One file for each way in which audio can be no use."""
    files = {name: folder / f"{name}.wav" for name in ("empty", "silent", "brief", "nan", "corrupt", "missing", "text")}
    files["empty"].write_bytes(b"")
    soundfile.write(files["silent"], np.zeros(16000), 16000)
    soundfile.write(files["brief"], np.full(160, 0.1), 16000)
    soundfile.write(files["nan"], np.array([0.1] * 8000 + [np.nan] * 8000), 16000, subtype="FLOAT")
    files["corrupt"].write_bytes(b"RIFF" + bytes(range(200)))
    files["text"].write_text("not audio\n")
    return files


@pytest.mark.parametrize("command", ["units", "score", "resynth", "continue"])
def test_what_is_no_use_gets_a_line_and_the_others_come_out(capsys, clip, tmp_path, command):
    bad = broken(tmp_path)
    arguments = [command, *bad.values(), clip, "--zoo", "tiny"]
    arguments += ["--out", tmp_path / "out"] if command in ("resynth", "continue") else []
    status, rows, err = run(capsys, *arguments)
    assert status == 1
    assert [row["file"] for row in rows] == [str(clip)]
    lines = [line for line in err.splitlines() if "its units last" not in line]  # random weights keep no lengths
    assert len(lines) == len(bad)
    for path in bad.values():
        assert sum(str(path) in line for line in lines) == 1
    assert "Traceback" not in err


def test_jsonl_goes_to_a_file(capsys, clip, tmp_path):
    target = tmp_path / "r.jsonl"
    status, rows, _ = run(capsys, "score", clip, "--zoo", "tiny", "--jsonl", target)
    assert (status, rows) == (0, [])
    assert json.loads(target.read_text())["file"] == str(clip)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--zoo", "nowhere"), "demo-speechtokenizer, tiny, but is"),
        (("--k", 500, "--lmbda", 1), "(500, 4500)"),
        (("--zoo", "tiny", "--k", 21), "20"),
    ],
)
def test_a_model_that_there_is_not_is_status_2(capsys, clip, arguments, message):
    status, rows, err = run(capsys, "score", clip, *arguments)
    assert (status, rows) == (2, [])
    assert message in err
    assert len(err.splitlines()) == 1


def test_offline_without_the_file_is_one_line(capsys, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    status, rows, err = run(capsys, "units", clip, "--lmbda", 0)
    assert (status, rows) == (1, [])
    assert "SLMZOO_OFFLINE" in err
    assert "Traceback" not in err
