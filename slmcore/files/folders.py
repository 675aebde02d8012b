"""What lies in a folder of this machine, to the bottom, with linked folders and in an order that is always the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from glob import glob
from pathlib import Path

__all__ = ["matching", "walk"]

Identity = tuple[int, int]


def walk(folder: str | Path) -> Iterator[Path]:
    """All below `folder` that is no folder, sorted by the parts of its path: files, and links that lead nowhere.

    Linked folders are entered, but for those that lead back to a folder they lie in. Raises OSError for a folder that
    cannot be looked into; its `filename` is that folder.
    """
    yield from _below(str(folder), frozenset({_identity(folder)}))


def matching(pattern: str) -> list[str]:
    """The files and folders that a pattern matches, sorted; `**` goes through linked folders, but not round in them."""
    # `Path.glob` takes no absolute pattern
    found = sorted(glob(pattern, recursive=True))  # noqa: PTH207
    return [path for path in found if not _goes_round(path)] if "**" in pattern else found


def _goes_round(path: str) -> bool:
    whole = Path(path).absolute()
    folders = [_identity(folder) for folder in (whole, *whole.parents) if folder.is_dir()]
    return len(set(folders)) < len(folders)


def _below(folder: str, above: frozenset[Identity]) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir():
            yield Path(entry.path)
        elif (identity := _identity(entry.path)) not in above:
            yield from _below(entry.path, above | {identity})


def _identity(folder: str | Path) -> Identity:
    found = Path(folder).stat()
    return found.st_dev, found.st_ino
