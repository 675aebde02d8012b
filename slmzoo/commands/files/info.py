"""`slmzoo info`: a model in detail, and the models that it belongs with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo.commands.files.rows import belong, key, label, named
from slmzoo.commands.options.models import InfoOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.systems import kinds

__all__ = ["Info"]

_MOST_SHOWN = 6
_SHOWN = (
    "system", "role", "encoder", "layer", "num_neighbors", "sample_rate", "frame_rate",
    "state", "size", "path", "sha256", "licence", "origin", "url",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Info(InfoOptions, ResultsCommand):
    """Models in detail."""

    def run(self) -> int:
        """Show the models to which all words apply."""
        rows = table.rows(None if self.zoo == "all" else self.zoo, registry=self.registry)
        entries = [_entry(row, rows) for row in named(self.names, rows)]
        self.tell(entries, "\n".join(map(_paragraph, entries)))
        return 0


def _entry(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    state, kind = files.status(row), kinds().get(row.kind)
    known = ("encoder", "layer", "num_neighbors", "sample_rate", "frame_rate", "licence", "origin", "url", "file")
    return {
        **key(row),
        "system": row.system,
        "role": None if kind is None else kind.role,
        **{name: getattr(row, name) for name in known},
        "state": state.state,
        "path": None if state.path is None else str(state.path),
        "size": state.size or row.size,
        "sha256": state.sha256 or row.sha256,
        "belongs_with": [key(other) for other in rows if belong(row, other)],
    }


def _paragraph(entry: Mapping[str, Any]) -> str:
    values = {name: entry[name] for name in _SHOWN if entry[name] not in (None, "")}
    if "size" in values:
        about = "about " if entry["state"] == "absent" else ""
        values["size"] = f"{about}{tqdm.format_sizeof(values['size'], divisor=1000)}B"
    values |= {name: f"{values[name]:g} Hz" for name in ("sample_rate", "frame_rate") if name in values}
    lines = [f"  {name.replace('_', ' '):<14} {value}" for name, value in values.items()]
    return "\n".join([label(entry), *lines, f"  {'belongs with':<14} {_partners(entry['belongs_with'])}", ""])


def _partners(found: Sequence[Mapping[str, Any]]) -> str:
    if len(found) <= _MOST_SHOWN:
        return "; ".join(map(label, found)) or "no other model of its zoo"
    return "; ".join(f"{kind} ({number})" for kind, number in Counter(row["kind"] for row in found).items())
