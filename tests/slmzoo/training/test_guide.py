from __future__ import annotations

import re
import shlex
from pathlib import Path

from slmzoo.cli import parsed
from slmzoo.commands.table import COMMANDS

GUIDE = Path(__file__).parents[3] / "docs" / "training.md"


def commands() -> list[list[str]]:
    """The `slmzoo` lines of the guide's shell blocks, with its variables put in."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
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


def test_every_command_of_the_guide_is_one():
    found = commands()
    assert [words[1] for words in found if words[0] == "train"] == ["encoder", "codebook", "ulm", "codec", "ellav"]
    for words in found:
        name = " ".join(words[:2]) if words[0] == "train" else words[0]
        options = parsed(name, words[len(name.split()) :]).options
        assert callable(COMMANDS[name].made(options).run)
