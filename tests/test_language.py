"""Docstrings begin with a noun phrase or an imperative verb, as a paper would put it, not with a clause."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
REFUSED = re.compile(r"(What|Of|As|Whether what|That which|Where)\b")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def openings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring of a module: of itself, its classes and functions, its fields and constants."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
        if isinstance(node, ast.Module | ast.ClassDef):
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.Assign | ast.AnnAssign) and (text := string(after)):
                    yield after.lineno, text


def string(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value.strip()
    return ""


def clauses(source: str) -> list[tuple[int, str]]:
    return [(line, text.partition("\n")[0]) for line, text in openings(ast.parse(source)) if REFUSED.match(text)]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_docstring_begins_with_a_clause(package: Path) -> None:
    files = sorted(package.rglob("*.py"))
    assert files
    found = [f"{file.relative_to(ROOT)}:{line}: {text}" for file in files for line, text in clauses(file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""What it is."""', [1]),
        ('class A:\n    """A."""\n\n    x: int\n    """Of the file."""', [5]),
        ('X = 1\n"""Where it lies."""', [2]),
        ('async def f():\n    """As `g`."""', [2]),
        ('def f():\n    """\n    Whether what is there counts."""', [2]),
        ('"""Whether it counts. What is left out does not."""', []),
        ('"""Assignment of codes."""\nX = 1\n"""Offset of the audio."""\ny("What")', []),
    ],
)
def test_clauses_are_found_wherever_a_docstring_stands(source: str, lines: list[int]) -> None:
    assert [line for line, _ in clauses(source)] == lines
