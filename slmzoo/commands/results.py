"""Results of commands: lines for a person on a terminal, JSONL where they are piped, with --json or in a file."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from tqdm import tqdm

from slmcore.files import atomic
from slmzoo.commands.options.common import ResultsOptions

__all__ = ["ResultsCommand", "number", "on_terminal"]

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ResultsCommand(ResultsOptions):
    """A command with results, each of them a row of named values."""

    @property
    def for_a_person(self) -> bool:
        """Whether standard output is read by a person."""
        return on_terminal() and not self.json

    def line(self, row: Row) -> str:
        """A result as one or more lines for a person."""
        return ", ".join(f"{name} {number(value)}" for name, value in row.items() if value is not None)

    @contextmanager
    def results(self) -> Iterator[Callable[[Row], None]]:
        """A function that writes one result. A result file appears when all of it is written."""
        if not self.for_a_person:
            with self._records() as write:
                yield write
        elif self.jsonl is None:
            yield self._show
        else:
            with self._records() as write:

                def both(row: Row) -> None:
                    write(row)
                    self._show(row)

                yield both

    def tell(self, rows: Iterable[Row], page: str) -> None:
        """Write all results; a person gets `page` in place of a line for each."""
        if self.for_a_person:
            sys.stdout.write(page)
        if self.jsonl is not None or not self.for_a_person:
            with self._records() as write:
                for row in rows:
                    write(row)

    @contextmanager
    def _records(self) -> Iterator[Callable[[Row], None]]:
        if self.jsonl is None:
            yield lambda row: _write(sys.stdout, row)
            return
        with atomic.writing(self.jsonl) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
            yield lambda row: _write(text, row)

    def _show(self, row: Row) -> None:
        tqdm.write(self.line(row), file=sys.stdout)  # clears a progress bar that is on the same terminal
        sys.stdout.flush()


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def number(value: Any) -> str:
    """A value as a person reads it: 6 significant digits, whole numbers without a point."""
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{value:.6g}"


def _write(file: TextIO, row: Row) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()
