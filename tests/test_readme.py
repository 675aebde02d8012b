"""The README's code blocks, run on the demo zoo, and its claims on files, checked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from slmcore.files.registry import rows
from slmzoo import systems
from slmzoo.cli import main
from slmzoo.recipes.speech.natural import SAMPLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.S | re.M)


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    return tmp_path


def test_python_blocks(workplace, monkeypatch):
    load = torch.hub.load

    def from_here(repo, *args, **options):
        assert (repo, options["source"]) == (".", "local")
        return load(str(ROOT), *args, **options)

    monkeypatch.setattr(torch.hub, "load", from_here)
    names: dict = {}
    for kind, code in BLOCKS:
        if kind == "python":
            exec(compile(code, "README.md", "exec"), names)
    assert min(len(units) for units in names["continued"].units) > 5
    assert (workplace / "resynthesis.wav").stat().st_size > 1000


def test_commands(workplace, capsys):
    lines = [line for kind, code in BLOCKS if kind == "sh" for line in code.splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("slmzoo ")]
    assert len(commands) >= 5
    for command in commands:
        assert main(command) == 0, command
    assert (workplace / "demo-out" / "sample.wav").stat().st_size > 1000


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make (\w+)", README)) <= targets


def test_make_demo_installs_no_more_than_it_needs_and_tells_what_was_said_and_made():
    rules = dict(re.findall(r"^([\w./]+):[^\n]*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M))
    assert "$(PIP) -e .\n" in rules[".venv/.demo"]
    assert "[test]" not in rules[".venv/.demo"] + rules["demo"]
    assert "[test]" in rules[".venv/.installed"]
    *_, sentence, made = rules["demo"].splitlines()
    assert SAMPLE in sentence
    assert "demo-out/sample.wav" in made
    assert "demo-out/sample.png" in made


def roles_of(system: str) -> set[str]:
    """The verbs that a system has the roles for."""
    has = systems.find(system).loader
    spoken = has("synthesizer") and has("language_model")
    verbs = {"units": has("quantizer"), "score": has("language_model"), "continue": spoken}
    verbs["resynth"] = has("synthesizer") or has("codec")
    return {verb for verb, possible in verbs.items() if possible}


def test_the_matrix_has_the_verbs_that_systems_have_the_roles_for():
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in README.splitlines() if line.startswith("|")]
    verbs, listed = table[0][1:5], [row for row in table if row[0].startswith("`")]
    assert verbs == ["units", "score", "continue", "resynth"]
    assert listed
    for name, *cells in listed:
        stated = {verb for verb, cell in zip(verbs, cells, strict=False) if cell == "yes"}
        assert stated == roles_of(name.strip("`")), name


def test_the_table_has_the_operating_points_of_the_registry():
    table = set()
    for line in (ROOT / "docs" / "operating_points.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")[1:-1]]
        if cells and cells[0].isdigit():
            table |= {(int(cells[0]), float(cell.split(":")[0])) for cell in cells[1:]}
    assert table == {(row.k, row.lmbda) for row in rows("dp-slm", "ellav") if row.k}
