"""The command line itself: wrong usage, and readers that are gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from slmzoo.cli import main
from slmzoo.commands.files.listing import List


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "COMMAND"),
        (("units",), "AUDIO"),
        (("fly",), "invalid choice"),
        (("units", "x.wav", "--device", "tpu"), "invalid choice"),
    ],
)
def test_wrong_usage_is_status_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["cite"]])
def test_a_reader_that_is_gone_ends_the_command_quietly(words):
    command = [sys.executable, "-m", "slmzoo", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 141


def test_a_pipe_that_breaks_elsewhere_is_named(capsys, monkeypatch):
    def fail(self):
        raise BrokenPipeError("the recogniser's pipe")

    monkeypatch.setattr(List, "run", fail)
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "slmzoo: the recogniser's pipe\n"
