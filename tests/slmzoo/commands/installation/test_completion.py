"""`slmzoo completion`, run by the shells themselves."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from slmzoo.cli import main
from slmzoo.commands.installation.completion import script
from slmzoo.commands.table import COMMANDS


def completed(*words: str) -> list[str]:
    """What bash offers in place of the last word."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _slmzoo; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script("bash") + ask], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("slmzoo", "resy"), ["resynth"]),
        (("slmzoo", "train", "cod"), ["codebook", "codec"]),
        (("slmzoo", "train", "codec", "--whit"), ["--whitening"]),
        (("slmzoo", "units", "a.wav", "--zo"), ["--zoo"]),
        (("slmzoo", "units", "--device", "c"), ["cpu", "cuda"]),
        (("slmzoo", "train", "ulm", "--train", "x", "--precision", "b"), ["bf16"]),
        (("slmzoo", "units", "a.w"), []),
        (("slmzoo", "eval", "units", "--tol"), ["--tolerance"]),
        (("slmzoo", "units", "--tol"), []),
    ],
)
def test_commands_options_and_choices(words, expected):
    assert completed(*words) == expected


def test_every_command_is_offered():
    firsts = completed("slmzoo", "")
    assert {words.split()[0] for words in COMMANDS} == set(firsts)
    seconds = {group: completed("slmzoo", group, "") for group in ("train", "eval")}
    assert {f"{group} {word}" for group, found in seconds.items() for word in found} == {
        w for w in COMMANDS if " " in w
    }


def test_zsh_runs_the_same_function(capsys):
    assert main(["completion", "zsh"]) == 0
    out = capsys.readouterr().out
    assert out == "autoload -U +X bashcompinit && bashcompinit\n" + script("bash")
    with pytest.raises(SystemExit):
        main(["completion", "fish"])
