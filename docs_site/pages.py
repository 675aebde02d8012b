"""Pages that follow from code: systems and verbs, cards of all published models, and the reference of the packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from slmcore.files import registry
from slmcore.files.card import cell, table
from slmcore.files.rows import Row
from slmzoo import systems
from slmzoo.kinds import KINDS

__all__ = ["generated", "navigation", "verbs_of"]

ROOT = Path(__file__).parents[1]
SYSTEMS = ("operating_points.md", "dpdp.md", "gslm.md", "twist.md", "speechtokenizer.md", "uslm.md", "soundstream.md")
"""Pages on systems in docs/, of which some may not be written yet."""
PACKAGES = ("wavlm_codebooks", "dpdp", "mistral_ulm", "ellav", "wavtokenizer", "gslm", "twist", "speechtokenizer",
            "soundstream", "slmcore", "slmzoo")  # fmt: skip
INNER = ("slmzoo.commands", "slmzoo.training", "slmzoo.recipes", "slmzoo.web", "slmzoo.entry_points")
"""Packages behind the command line, whose reference is its help, and those with a page of their own."""
ENTRIES = ("dp_slm", "gslm", "twist", "codecs", "pipeline")
"""Modules of `slmzoo.entry_points`, in the order of their page."""
VERBS = ("units", "score", "continue", "resynth")


def navigation(written: Sequence[str]) -> list[Any]:
    """Return the navigation over the pages in docs/ and the generated ones."""
    there = [page for page in SYSTEMS if page in written]
    evaluation = [page for page in written if page.startswith("evaluation/")]
    guides = [page for page in written if page not in (*there, *evaluation, "origins.md", "faq.md")]
    cards = [{zoo: _card_place(zoo)} for zoo in registry.zoos()]
    reference = [{"Entry points": "reference/hubconf.md"}, *({name: f"reference/{name}.md"} for name in PACKAGES)]
    return [
        {"slmzoo": "index.md"},
        {"Systems": ["matrix.md", *there]},
        {"Guides": guides},
        {"Evaluation": sorted(evaluation, key=lambda page: (not page.endswith("README.md"), page))},
        {"Models": cards},
        {"Reference": reference},
        {"FAQ": "faq.md"},
        {"About": ["origins.md", "contributing.md", "changelog.md"]},
    ]  # fmt: skip


def generated() -> dict[str, str]:
    """Return the text of each generated page by its place in the site."""
    pages = {"matrix.md": _matrix(), "reference/hubconf.md": _entry_points()}
    pages |= {_card_place(zoo): _cards(zoo) for zoo in registry.zoos()}
    return pages | {f"reference/{name}.md": _reference(name) for name in PACKAGES}


def verbs_of(system: str) -> list[str]:
    """Return the verbs of the command line that a system has the roles for."""
    has = systems.find(system).loader
    possible = {
        "units": has("quantizer"),
        "score": has("language_model"),
        "continue": has("synthesizer") and has("language_model"),
        "resynth": has("synthesizer") or has("codec"),
    }
    return [verb for verb in VERBS if possible[verb]]


def _matrix() -> str:
    rows = [[f"`{name}`", *("yes" if verb in verbs_of(name) else "" for verb in VERBS)] for name in systems.names()]
    text = "A command works with every system whose roles it needs; a missing role is refused by name."
    return f"# Systems and commands\n\n{text}\n\n{table(['system', *VERBS], rows)}"


def _entry_points() -> str:
    return "# Entry points\n\n" + "\n".join(f"::: slmzoo.entry_points.{name}\n" for name in ENTRIES)


def _card_place(zoo: str) -> str:
    return f"models/{zoo}.md"


def _cards(zoo: str) -> str:
    """Return the cards of a zoo's models, by kind."""
    rows = registry.rows(zoo)
    parts = [f"# Models of the zoo {zoo}", f"`slmzoo list --zoo {zoo}` has them with their state on this machine."]
    for kind in dict.fromkeys(row.kind for row in rows):
        chosen = [row for row in rows if row.kind == kind]
        parts += [f"## {kind}", f"Role: {KINDS[kind].role}.", _facts(chosen), _files(chosen)]
    return "\n\n".join(parts) + "\n"


def _facts(rows: Sequence[Row]) -> str:
    """Return origin and licence of models of one kind."""
    origins = sorted({row.origin or "not stated" for row in rows})
    licences = sorted({row.licence or "not stated" for row in rows})
    return f"Origin: {'; '.join(origins)}. Licence: {'; '.join(licences)}."


def _files(rows: Sequence[Row]) -> str:
    columns = ("variant", "k", "lmbda", "num_neighbors", "encoder", "layer", "frame_rate", "sample_rate")
    used = [name for name in columns if any(getattr(row, name) is not None for row in rows)]
    body = [[*(cell(getattr(row, name)) for name in used), _size(row), _verification(row), f"`{row.file}`"]
            for row in rows]  # fmt: skip
    return table([*used, "size", "verification", "file"], body)


def _size(row: Row) -> str:
    return "" if row.size is None else f"{row.size / 1e6:.3g} MB"


def _verification(row: Row) -> str:
    if len(row.sha256) == 64:
        return f"SHA-256 `{row.sha256[:12]}...`"
    if row.sha256:
        return f"first {len(row.sha256)} digits of the SHA-256, `{row.sha256}`"
    return f"{row.claimed}; recorded at first download" if row.claimed else "recorded at first download"


def _reference(package: str) -> str:
    """Return the page of a package: all its modules with public names, by their docstrings."""
    modules = [f"::: {name}" for name in _public(ROOT / package)]
    return "\n\n".join([f"# {package}", *modules]) + "\n"


def _public(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        private = any(part.startswith("_") for part in name.split("."))
        if not private and not name.startswith(INNER) and _exports(path):
            yield name


def _exports(path: Path) -> bool:
    """Whether a module defines what it exports; packages that only pass names on are left out."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = {getattr(node.targets[0], "id", "") for node in body if isinstance(node, ast.Assign)}
    return "__all__" in names and any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in body)
