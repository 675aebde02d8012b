from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from slmzoo.cli import parsed
from slmzoo.commands.table import COMMANDS

GUIDE = Path(__file__).parents[3] / "docs" / "training.md"


WALKS = ("sh", "bash")
"""Languages of the guide's blocks: of the walk on synthetic speech, and of that on a few files."""


def commands(walk: str) -> list[list[str]]:
    """The `slmzoo` lines of one of the guide's walks, with its variables put in."""
    blocks = re.findall(rf"```{walk}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    variables: dict[str, str] = {"split": "train"}
    found = []
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if given := re.fullmatch(r'(\w+)="(.*)"', line.strip()):
            variables[given[1]] = given[2]
            continue
        for name, value in variables.items():
            line = line.replace(f"${name}", value)  # noqa: PLW2901
        if line.strip().startswith("slmzoo "):
            found.append(shlex.split(line)[1:])
    return found


def options_of(words: list[str]) -> tuple[Any, str]:
    """The options that a line gives, and the name of its command."""
    name = " ".join(words[:2]) if words[0] == "train" else words[0]
    return parsed(name, words[len(name.split()) :]).options, name


@pytest.mark.parametrize("walk", WALKS)
def test_every_command_of_the_guide_is_one(walk):
    found = commands(walk)
    assert [words[1] for words in found if words[0] == "train"] == ["encoder", "codebook", "ulm", "codec", "ellav"]
    for words in found:
        options, name = options_of(words)
        assert callable(COMMANDS[name].made(options).run)


@pytest.mark.parametrize("walk", WALKS)
def test_weights_of_the_guide_say_their_licence_and_origin_and_share_a_zoo(walk):
    trained = [options_of(words)[0] for words in commands(walk) if words[0] == "train"]
    assert len({(s.zoo, s.registry, s.licence, s.origin) for s in trained}) == 1
    assert "not stated" not in (trained[0].licence, trained[0].origin)


@pytest.mark.parametrize("walk", WALKS)
def test_variables_of_the_guide_are_one_word_for_any_shell(walk):
    """zsh does not split a variable at its spaces."""
    blocks = re.findall(rf"```{walk}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    values = re.findall(r'^\s*\w+="(.*)"$', "\n".join(blocks), re.MULTILINE)
    assert values
    assert not any(" " in value for value in values)
