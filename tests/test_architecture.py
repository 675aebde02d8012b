"""The floors of the building: imports only ever point down, and nothing reaches outside where it must not."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SYSTEMS = {"wavlm_codebooks", "dpdp", "mistral_ulm", "ellav", "wavtokenizer", "speechtokenizer", "soundstream", "gslm"}
SYSTEMS |= {"twist"}
MAY_IMPORT = {"slmcore": {"slmcore"}, **{s: {s, "slmcore"} for s in SYSTEMS}, "slmzoo": {"slmzoo", "slmcore"} | SYSTEMS}
OURS = set(MAY_IMPORT)
FILES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 400


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    package = path.relative_to(ROOT).parts[0]
    assert imported(path) & OURS <= MAY_IMPORT[package]


FLOORS = (
    ("cli", "commands", "entry_points"),
    ("recipes",),
    ("web",),
    ("evaluation",),
    ("training",),
    ("corpus",),
    ("hub", "convert"),
    ("pipeline", "saved", "synthesizers"),
    ("systems", "first_level"),
)
"""Parts of slmzoo from the top down; all others are below and stand on slmcore."""


def modules() -> dict[str, Path]:
    paths = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in (ROOT / "slmzoo").rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """Modules of slmzoo that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & known


def floor(module: str) -> int:
    part = module.split(".")[1] if "." in module else ""
    return next((i for i, parts in enumerate(FLOORS) if part in parts), len(FLOORS))


def test_no_import_inside_slmzoo_points_up():
    known = modules()
    edges = {(name, other) for name, path in known.items() for other in imported_modules(path, set(known))}
    assert len(edges) > 100
    inside = {(a, b) for a, b in edges if "__main__" not in a}
    assert [f"{a} imports {b}" for a, b in sorted(inside) if floor(b) < floor(a)] == []


def test_no_modules_of_slmzoo_import_each_other_in_a_circle():
    known = modules()
    graph = {name: imported_modules(path, set(known)) - {name} for name, path in known.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle


def test_the_floors_would_catch_what_points_up(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("def f():\n    from slmzoo.commands import table\n")
    found = imported_modules(file, set(modules()))
    assert found == {"slmzoo.commands.table"}
    assert floor("slmzoo.commands.table") < floor("slmzoo.evaluation.recordings") < floor("slmzoo.hub")


def test_layers_stand_on_nothing_but_configs_errors_checks_and_threads():
    for path in (ROOT / "slmcore" / "layers").rglob("*.py"):
        names = re.findall(r"from (slmcore[\w.]*)", path.read_text(encoding="utf-8"))
        below = ("slmcore.layers", "slmcore.configs", "slmcore.errors", "slmcore.checks", "slmcore.threads")
        assert all(name.startswith(below) for name in names), path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is_for_and_stays_readable(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MOST_LINES


def test_pickles_are_only_read_as_plain_weights():
    for path in FILES:
        for call in re.findall(r"torch\.load\([^)]*\)", path.read_text(encoding="utf-8")):
            assert "weights_only=True" in call, path


def test_the_repository_stays_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the repository is not known")
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    assert sum(sizes.values()) < 40e6
    assert sum(size for name, size in sizes.items() if name.endswith(".safetensors")) < 28e6
