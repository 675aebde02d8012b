"""Registry rows as the commands on files show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slmcore.files.registry import Row

__all__ = ["cell", "key", "label"]


def key(row: Row) -> dict[str, Any]:
    """Zoo, kind, variant, k and lambda of a row, by name."""
    return {name: getattr(row, name) for name in ("zoo", "kind", "variant", "k", "lmbda")}


def label(row: Mapping[str, Any]) -> str:
    """Zoo, kind, variant and operating point of a result."""
    return " ".join(cell(row[name]) for name in ("zoo", "kind", "variant", "k", "lmbda") if row[name] is not None)


def cell(value: Any) -> str:
    """A value in a table; "-" for None."""
    if isinstance(value, float):
        return f"{value:g}"
    return "-" if value is None else str(value)
