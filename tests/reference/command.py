"""A command of `slmzoo` in this process."""

from __future__ import annotations

import json
from pathlib import Path

from slmzoo.cli import main


def run(capsys, *arguments: object) -> tuple[int, list[dict], str]:
    """Exit status, results and standard error of a command."""
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def run_on_zoo(capsys, registry: Path, words: str, *arguments: object) -> list[dict]:
    """Results of a command that must succeed, on the zoo of `registry`."""
    zoo = json.loads(registry.read_text())["zoo"]
    status, rows, err = run(capsys, *words.split(), *arguments, "--zoo", zoo, "--registry", registry, "--json")
    assert status == 0, err
    return rows
