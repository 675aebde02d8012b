"""`slmzoo fetch`: download of the models of an operating point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo import systems
from slmzoo.commands.common import complain
from slmzoo.commands.files.rows import key, label
from slmzoo.commands.options.models import FetchOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.sources import Choice, Source

__all__ = ["Fetch"]


@dataclass(frozen=True, kw_only=True)
class Fetch(FetchOptions, ResultsCommand):
    """Download and verify the models of an operating point."""

    def run(self) -> int:
        """Download missing files; write a line for each file."""
        failed = 0
        with self.results() as write:
            for row in self._rows():
                try:
                    write({**key(row), "path": str(files.resolve(row))})
                except OSError as error:
                    complain(row.label, error)
                    failed += 1
        return 1 if failed else 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a model and its file."""
        return f"{label(row)}: {row['path']}"

    def _rows(self) -> list[Row]:
        if self.all:
            return list(table.rows(self.zoo, registry=self.registry))
        where = Source(zoo=self.zoo, registry=self.registry)
        wanted = systems.of(where).choice(where, Choice(variant=self.variant, k=self.k, lmbda=self.lmbda), True)
        return list(systems.rows_of(where, wanted).values())
