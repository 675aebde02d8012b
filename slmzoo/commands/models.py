"""`slmzoo list`, `fetch`, `verify` and `convert`: the files of the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo import convert as conversion
from slmzoo import systems
from slmzoo.commands.common import complain
from slmzoo.commands.options.models import ConvertOptions, FetchOptions, ListOptions, VerifyOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.sources import Choice, Source
from slmzoo.tables import columns

__all__ = ["Convert", "Fetch", "List", "Verify"]


@dataclass(frozen=True, kw_only=True)
class List(ListOptions, ResultsCommand):
    """All models of all zoos, and what is here of each."""

    def run(self) -> int:
        """Show the table, or write its rows."""
        rows = table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry)
        entries = [_entry(row) for row in rows]
        names = ("zoo", "kind", "variant", "k", "lmbda", "state", "size", "licence", "file")
        shown = [{**entry, "size": _bytes(entry)} for entry in entries]
        self.tell(entries, columns([names, *(tuple(_cell(entry[c]) for c in names) for entry in shown)]))
        return 0


@dataclass(frozen=True, kw_only=True)
class Fetch(FetchOptions, ResultsCommand):
    """Download and verify the models of an operating point."""

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

    def line(self, row: Mapping[str, Any]) -> str:
        """A model and its file."""
        return f"{_label(row)}: {row['path']}"

    def _rows(self) -> list[Row]:
        if self.all:
            return list(table.rows(self.zoo, registry=self.registry))
        where = Source(zoo=self.zoo, registry=self.registry)
        wanted = systems.of(where).choice(where, Choice(k=self.k, lmbda=self.lmbda), True)
        return list(systems.rows_of(where, wanted).values())


@dataclass(frozen=True, kw_only=True)
class Verify(VerifyOptions, ResultsCommand):
    """Check every file that is here again."""

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

    def line(self, row: Mapping[str, Any]) -> str:
        """A model and its verified file."""
        return f"{_label(row)}: verified, {row['path']}"


@dataclass(frozen=True, kw_only=True)
class Convert(ConvertOptions, ResultsCommand):
    """A published file converted to safetensors."""

    def run(self) -> int:
        """Convert, and say of what kind the file was."""
        kind = conversion.convert(self.source, self.target)
        with self.results() as write:
            write({"target": str(self.target), "kind": kind})
        return 0

    def line(self, row: Mapping[str, Any]) -> str:
        """The file and its kind."""
        return f"{row['target']}: {row['kind']}"


def _key(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("zoo", "kind", "variant", "k", "lmbda")}


def _label(row: Mapping[str, Any]) -> str:
    """Zoo, kind, variant and operating point of a result."""
    return " ".join(_cell(row[name]) for name in ("zoo", "kind", "variant", "k", "lmbda") if row[name] is not None)


def _entry(row: Row) -> dict[str, Any]:
    state = asdict(files.status(row))
    more = {"file": row.file, "licence": row.licence, "origin": row.origin, "url": row.url}
    return {
        **_key(row),
        "state": state["state"],
        "size": state["size"] or row.size,
        "sha256": state["sha256"] or row.sha256,
        **more,
    }


def _bytes(entry: Mapping[str, Any]) -> str | None:
    """Size of a file for a person; "~" where it is not here and only about known."""
    if entry["size"] is None:
        return None
    about = "~" if entry["state"] == "absent" else ""
    return f"{about}{tqdm.format_sizeof(entry['size'], divisor=1000)}B"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)
