"""`--jsonl`: what can be written is checked before the work, and the file appears whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slmzoo.cli import main
from slmzoo.commands.common import ResultsCommand

SAMPLE = Path(__file__).parents[3] / "examples" / "sample.wav"


def test_a_result_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    with ResultsCommand(jsonl=path).results() as write:
        write({"n": 1})
        write({"n": 2, "name": "é"})
        assert not path.exists()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"n": 1}, {"n": 2, "name": "é"}]
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_command_leaves_no_half(tmp_path):
    with pytest.raises(KeyboardInterrupt), ResultsCommand(jsonl=tmp_path / "a.jsonl").results() as write:
        write({"n": 1})
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_by_the_argument():
    message = r"^/dev/full was not written: No space left"
    with pytest.raises(OSError, match=message), ResultsCommand(jsonl=Path("/dev/full")).results() as write:
        write({"n": 1})


@pytest.mark.parametrize("command", [["units", str(SAMPLE)], ["list"], ["eval", "compare", "a.json", "b.json"]])
@pytest.mark.parametrize(("target", "reason"), [("", "is a folder"), ("nowhere/a.jsonl", "there is no folder")])
def test_where_results_cannot_go_is_said_before_any_work(tmp_path, capsys, command, target, reason):
    assert main([*command, "--jsonl", str(tmp_path / target)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"slmzoo: --jsonl: {tmp_path / target} ")
    assert reason in error
    assert list(tmp_path.iterdir()) == []


def test_results_go_through_a_device(capsys):
    assert main(["units", str(SAMPLE), "--zoo", "demo", "--jsonl", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()
    assert capsys.readouterr().out == ""
