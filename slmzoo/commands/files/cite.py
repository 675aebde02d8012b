"""`slmzoo cite`: the papers of models, as BibTeX."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from slmcore.files import registry as table
from slmzoo.citations import SOFTWARE, bibtex, papers_of
from slmzoo.commands.files.rows import belong, named
from slmzoo.commands.options.models import CiteOptions

__all__ = ["Cite"]


@dataclass(frozen=True, kw_only=True)
class Cite(CiteOptions):
    """Papers to cite."""

    def run(self) -> int:
        """Print the entries, those of the named models first, slmzoo's last."""
        rows = table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry)
        found = named(self.names, rows) if self.names else []
        partners = [other for other in rows if any(belong(row, other) for row in found)]
        papers = dict.fromkeys(paper for row in (*found, *partners) for paper in papers_of(row))
        sys.stdout.write("\n".join([*map(bibtex, papers), SOFTWARE]))
        return 0
