"""`slmzoo convert-units`: units from and to the files of other systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmzoo.commands.options.models import ConvertUnitsOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.corpus.formats import convert

__all__ = ["ConvertUnits"]


@dataclass(frozen=True, kw_only=True)
class ConvertUnits(ConvertUnitsOptions, ResultsCommand):
    """Units from and to the files of other systems; durations are kept."""

    def run(self) -> int:
        """Convert."""
        number = convert(
            self.source, self.target, read_as=self.read_as, write_as=self.write_as, frame_rate=self.frame_rate
        )
        with self.results() as write:
            write({"source": str(self.source), "target": str(self.target), "records": number})
        return 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the summary line of the conversion."""
        return f"{row['target']}: {row['records']} recordings of {row['source']}"
