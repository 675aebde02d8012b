"""Base of the commands of `slmzoo train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slmzoo.commands.results import ResultsCommand, number
from slmzoo.training.loop.run import rank

__all__ = ["Training"]


@dataclass(frozen=True, kw_only=True)
class Training(ResultsCommand):
    """Training command; only the first of several processes writes results."""

    settings: Any
    train: Callable[[Any], Sequence[Mapping[str, Any]]]
    """Train by `settings`; return the figures reached."""

    def run(self) -> int:
        """Train."""
        found = self.train(self.settings)
        if not rank():
            with self.results() as write:
                for row in found:
                    write(row)
        return 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line: the model added, and its zoo."""
        told = {name: number(value) for name, value in row.items() if name not in ("zoo", "kind") and value is not None}
        kind = row.get("kind", "codebook")
        return f"{kind} added to zoo {row['zoo']}: {', '.join(f'{name} {value}' for name, value in told.items())}"
