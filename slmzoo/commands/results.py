"""Results of commands: readable lines on a terminal; JSONL in a pipe, with --json or in a file."""

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
    """Command with results, each a row of named values."""

    @property
    def for_a_person(self) -> bool:
        """Whether results are printed for a person to read."""
        return on_terminal() and not self.json

    def line(self, row: Row) -> str:
        """Format a result as one or more readable lines."""
        return ", ".join(f"{name} {number(value)}" for name, value in row.items() if value is not None)

    @contextmanager
    def results(self) -> Iterator[Callable[[Row], None]]:
        """Yield a function that writes one result. A result file appears when it is complete."""
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
        """Write all results; on a terminal `page` instead of a line for each."""
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
        tqdm.write(self.line(row), file=sys.stdout)  # clears a progress bar on the same terminal
        sys.stdout.flush()


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def number(value: Any) -> str:
    """Format a value for a person: 6 significant digits, whole numbers without a point."""
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{value:.6g}"


def _write(file: TextIO, row: Row) -> None:
    file.write(json.dumps(row) + "\n")
    file.flush()
