"""Registry rows, as shown by the commands on files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slmcore.files.registry import Row

__all__ = ["cell", "key", "label"]


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
