"""The built-in zoos of published models, one file each, with a function `published_rows`."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from functools import cache

from slmcore.files.rows import Row

__all__ = ["built_in_rows", "built_in_zoos", "shared_names"]


@cache
def built_in_rows() -> tuple[Row, ...]:
    """Return the rows of all built-in zoos, DP-SLM's first, the others by name."""
    names = sorted((module.name for module in pkgutil.iter_modules(__path__)), key=lambda n: (n != "dp_slm", n))
    return tuple(row for name in names for row in importlib.import_module(f"{__name__}.{name}").published_rows())


@cache
def built_in_zoos() -> frozenset[str]:
    """Return the names of the built-in zoos, whose files keep their published names in the cache."""
    return frozenset(row.zoo for row in built_in_rows())


@cache
def shared_names() -> frozenset[str]:
    """Return file names that occur several times in the built-in zoos, such as config.json."""
    names = Counter(row.file for row in {row.url: row for row in built_in_rows()}.values())
    return frozenset(name for name, files in names.items() if files > 1)
