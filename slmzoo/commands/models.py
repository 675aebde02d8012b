"""`slmzoo list`, `fetch`, `verify` and `convert`: the files of the zoo."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simple_parsing import field

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo import convert as conversion
from slmzoo.commands.common import ZooCommand, complain
from slmzoo.tables import columns

__all__ = ["Convert", "Fetch", "List", "Verify"]


@dataclass(frozen=True, kw_only=True)
class List(ZooCommand):
    """All models of all zoos, and what is here of each: verified, recorded, unknown or absent.

    With --jsonl a line holds: zoo, kind, variant, k, lmbda, state, size (bytes), file, sha256, licence, origin, url.
    """

    zoo: str = "all"
    """Zoo to list, or all."""

    def run(self) -> int:
        """Print the table, or write it as JSONL."""
        rows = table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry)
        entries = [_entry(row) for row in rows]
        if self.jsonl is not None:
            with self.results() as write:
                for entry in entries:
                    write(entry)
            return 0
        names = ("zoo", "kind", "variant", "k", "lmbda", "state", "size", "licence", "file")
        sys.stdout.write(columns([names, *(tuple(_cell(entry[c]) for c in names) for entry in entries)]))
        return 0


@dataclass(frozen=True, kw_only=True)
class Fetch(ZooCommand):
    """Bring the models of an operating point to this machine, verified: encoder, codebook, ULM, ELLA-V and codec."""

    k: int | None = field(default=None, positional=True, nargs="?", metavar="K")
    """Number of codes."""
    lmbda: float | None = field(default=None, positional=True, nargs="?", metavar="LMBDA")
    """Weight of the duration penalty."""
    all: bool = False
    """Every file of the zoo."""

    def run(self) -> int:
        """Download what is not here yet; a line for each file."""
        failed = 0
        with self.results() as write:
            for row in self._rows():
                try:
                    write({**_key(row), "path": str(files.resolve(row))})
                except OSError as error:
                    complain(row.label, error)
                    failed += 1
        return 1 if failed else 0

    def _rows(self) -> list[Row]:
        if self.all:
            return list(table.rows(self.zoo, registry=self.registry))
        point = {"k": self.k, "lmbda": self.lmbda}
        kinds = {"wavlm": {}, "codebook": {"k": self.k}, "ulm": point, "ellav": point, "wavtokenizer": {}}
        ulm = table.find("ulm", zoo=self.zoo, registry=self.registry, **point)
        kinds["codebook"] = {"k": ulm.k}
        return [table.find(kind, zoo=self.zoo, registry=self.registry, **key) for kind, key in kinds.items()]


@dataclass(frozen=True, kw_only=True)
class Verify(ZooCommand):
    """Read every file that is here again, and check its SHA-256.

    A line holds: zoo, kind, variant, k, lmbda, path, sha256. What is wrong gets a line on standard error, and status 1.
    """

    zoo: str = "all"
    """Zoo to verify, or all."""

    def run(self) -> int:
        """Check what is here."""
        failed = 0
        with self.results() as write:
            for row in table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry):
                state = files.status(row)
                if state.path is None:
                    continue
                try:
                    write({**_key(row), "path": str(state.path), "sha256": files.verify(row)})
                except OSError as error:
                    complain(row.label, error)
                    failed += 1
        return 1 if failed else 0


@dataclass(frozen=True, kw_only=True)
class Convert:
    """A published .pt or .ckpt file to the project's safetensors, which loads equal."""

    source: Path = field(positional=True, metavar="FILE.pt")
    """The published file."""
    target: Path = field(positional=True, metavar="FILE.safetensors")
    """The file to write."""

    def run(self) -> int:
        """Convert, and say of what kind the file was."""
        kind = conversion.convert(self.source, self.target)
        sys.stdout.write(f"{self.target}: {kind}\n")
        return 0


def _key(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("zoo", "kind", "variant", "k", "lmbda")}


def _entry(row: Row) -> dict[str, Any]:
    state = asdict(files.status(row))
    more = {"file": row.file, "licence": row.licence, "origin": row.origin, "url": row.url}
    return {
        **_key(row),
        "state": state["state"],
        "size": state["size"],
        "sha256": state["sha256"] or row.sha256,
        **more,
    }


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)
