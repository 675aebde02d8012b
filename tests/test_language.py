"""Docstrings begin with a noun phrase or an imperative verb, as a paper would put it, not with a clause."""

from __future__ import annotations

import ast
import io
import re
import tokenize
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


TRANSLATED = re.compile(
    r"\b(?:frames|units|codes|tokens|samples|bits|phones|words|Hz|\d+) a second\b"  # per second
    r"|\b(?:samples|nats|tokens|units|bits|errors) a (?:frame|token|unit|target|word|file|recording)\b"  # per frame
    r"|\b(?:goes|gone) on\b|\bgo on (?:with|to|from)\b"  # resume, continue
    r"|\bpieces? of\b"  # segment
    r"|\blearnt\b"  # trained, learned
    r"|\b[Aa]s of `"  # as for
    r"|\bwhole or not at all\b"  # atomically
    r"|\bthat which\b|\bby lot\b|\bcomes? twice\b|\bbeg[iu]n anew\b"
)
"""Phrases that no paper of the field would use, each with its word."""


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, comment and message of an error."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and (text := string(node)):
            yield node.lineno, text
        if isinstance(node, ast.Raise):
            found = (m for m in ast.walk(node) if isinstance(m, ast.Constant) and isinstance(m.value, str))
            yield from ((m.lineno, str(m.value)) for m in found)
    comments = (t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT)
    yield from ((token.start[0], token.string) for token in comments)


def translated(source: str) -> list[tuple[int, str]]:
    found = ((line, TRANSLATED.search(" ".join(text.split()))) for line, text in texts(source))
    return sorted((line, match[0]) for line, match in found if match)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_text_reads_like_a_translation(package: Path) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {phrase}"
        for file in sorted(package.rglob("*.py"))
        for line, phrase in translated(file.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""50 frames a second."""', [(1, "frames a second")]),
        ("x = 1  # what was done goes\n", []),
        ('def f():\n    """A run\n    that goes\n    on."""', [(2, "goes on")]),
        ('raise ValueError(f"{x} comes twice.")', [(1, "comes twice")]),
        ("x = 1  # a piece of speech", [(1, "piece of")]),
        ('"""A second frame, as of version 2, at least a second."""\ny = "pieces of"', []),
    ],
)
def test_translated_phrases_are_found_in_docstrings_comments_and_errors(source: str, found: list) -> None:
    assert translated(source) == found


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
