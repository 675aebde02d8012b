"""`slmzoo convert`: a published checkpoint as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmzoo import convert as conversion
from slmzoo.commands.options.models import ConvertOptions
from slmzoo.commands.results import ResultsCommand

__all__ = ["Convert"]


@dataclass(frozen=True, kw_only=True)
class Convert(ConvertOptions, ResultsCommand):
    """Conversion of a published file to safetensors."""

    def run(self) -> int:
        """Convert the file, and report its kind."""
        kind = conversion.convert(self.source, self.target, self.kind)
        with self.results() as write:
            write({"target": str(self.target), "kind": kind})
        return 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line: the file and its kind."""
        return f"{row['target']}: {row['kind']}"
