"""`slmzoo list`: all models, and their state on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tqdm import tqdm

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo.commands.files.rows import cell, key
from slmzoo.commands.options.models import ListOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.tables import columns

__all__ = ["List"]


@dataclass(frozen=True, kw_only=True)
class List(ListOptions, ResultsCommand):
    """Table of the models of all zoos, with their local state."""

    def run(self) -> int:
        """Show the table, or write its rows."""
        rows = table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry)
        entries = [_entry(row) for row in rows]
        names = ("zoo", "kind", "variant", "k", "lmbda", "state", "size", "licence", "file")
        shown = [{**entry, "size": _bytes(entry)} for entry in entries]
        self.tell(entries, columns([names, *(tuple(cell(entry[c]) for c in names) for entry in shown)]))
        return 0


def _entry(row: Row) -> dict[str, Any]:
    state = asdict(files.status(row))
    more = {"file": row.file, "licence": row.licence, "origin": row.origin, "url": row.url}
    return {
        **key(row),
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
