"""`slmzoo info`: a model in detail, and the models that it belongs with."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from tqdm import tqdm

from slmcore.files import fetch as files
from slmcore.files import registry as table
from slmcore.files.registry import Row
from slmzoo.commands.files.rows import cell, key, label
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
        found = [row for row in rows if all(name in _words(row) for name in self.names)]
        if not found:
            raise ValueError(_unknown(self.names, rows))
        entries = [_entry(row, rows) for row in found]
        self.tell(entries, "\n".join(map(_paragraph, entries)))
        return 0


def _words(row: Row) -> set[str]:
    """Return the words that apply to a model."""
    return {cell(value) for value in (*key(row).values(), row.file, PurePath(row.file).stem) if value is not None}


def _unknown(names: Sequence[str], rows: Sequence[Row]) -> str:
    known = {word for row in rows for word in _words(row)}
    strange = [name for name in names if name not in known]
    close = [word for name in strange for word in difflib.get_close_matches(name, known, n=3)]
    hint = f" Did you mean {' or '.join(close)}?" if close else " `slmzoo list` shows all models."
    return f"No model is named by {' and '.join(strange or names)}{'' if strange else ' together'}.{hint}"


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
        "belongs_with": [key(other) for other in rows if _belong(row, other)],
    }


def _belong(row: Row, other: Row) -> bool:
    """Whether two models can be parts of one pipeline: of one zoo and system, and at one operating point."""
    if (row.zoo, row.system) != (other.zoo, other.system) or row.kind == other.kind:
        return False
    known, fields = kinds(), ["k", "lmbda", "layer"]
    if all(name in known and "variant" in known[name].point for name in (row.kind, other.kind)):
        fields.append("variant")
    pairs = [(getattr(row, name), getattr(other, name)) for name in fields]
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


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
