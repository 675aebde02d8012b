"""Registry rows, as shown by the commands on files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from slmcore.files.registry import Row
from slmzoo.systems import kinds

__all__ = ["belong", "cell", "key", "label", "named"]


def key(row: Row) -> dict[str, Any]:
    """Return zoo, kind, variant, k and lambda of a row, by name."""
    return {name: getattr(row, name) for name in ("zoo", "kind", "variant", "k", "lmbda")}


def label(row: Mapping[str, Any]) -> str:
    """Return zoo, kind, variant and operating point of a result as text."""
    return " ".join(cell(row[name]) for name in ("zoo", "kind", "variant", "k", "lmbda") if row[name] is not None)


def cell(value: Any) -> str:
    """Format a value for a table; "-" for None."""
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)


def named(names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Return the rows to which all names apply: zoo, kind, variant, k, lambda, or file; a ValueError for none."""
    found = [row for row in rows if all(name in _words(row) for name in names)]
    if not found:
        raise ValueError(_unknown(names, rows))
    return found


def belong(row: Row, other: Row) -> bool:
    """Whether two models can be parts of one pipeline: of one zoo and system, and at one operating point."""
    if (row.zoo, row.system) != (other.zoo, other.system) or row.kind == other.kind:
        return False
    known, fields = kinds(), ["k", "lmbda", "layer"]
    if all(name in known and "variant" in known[name].point for name in (row.kind, other.kind)):
        fields.append("variant")
    pairs = [(getattr(row, name), getattr(other, name)) for name in fields]
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _words(row: Row) -> set[str]:
    """Return the words that apply to a model."""
    return {cell(value) for value in (*key(row).values(), row.file, PurePath(row.file).stem) if value is not None}


def _unknown(names: Sequence[str], rows: Sequence[Row]) -> str:
    known = {word for row in rows for word in _words(row)}
    strange = [name for name in names if name not in known]
    close = [word for name in strange for word in difflib.get_close_matches(name, known, n=3)]
    hint = f" Did you mean {' or '.join(close)}?" if close else " `slmzoo list` shows all models."
    return f"No model is named by {' and '.join(strange or names)}{'' if strange else ' together'}.{hint}"
