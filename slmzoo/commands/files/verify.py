"""`slmzoo verify`: verification of local files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmzoo.commands.common import complain
from slmzoo.commands.files.rows import key, label
from slmzoo.commands.options.models import VerifyOptions
from slmzoo.commands.results import ResultsCommand

__all__ = ["Verify"]


@dataclass(frozen=True, kw_only=True)
class Verify(VerifyOptions, ResultsCommand):
    """Verification of every local file."""

    def run(self) -> int:
        """Verify all local files."""
        failed = 0
        with self.results() as write:
            for row in table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry):
                state = files.status(row)
                if state.path is None:
                    continue
                try:
                    write({**key(row), "path": str(state.path), "sha256": files.verify(row)})
                except OSError as error:
                    complain(row.label, error)
                    failed += 1
        return 1 if failed else 0

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the result line of a model and its verified file."""
        return f"{label(row)}: verified, {row['path']}"
