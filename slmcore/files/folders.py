"""Local files below a folder or matching a pattern, through links, in a deterministic order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

__all__ = ["matching", "walk"]

Identity = tuple[int, int]


def walk(folder: str | Path, failed: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Yield the files and dead links below `folder`, sorted by the parts of their paths.

    Linked folders are entered unless they lead back to a parent. A folder that cannot be listed gives an OSError that
    names it, passed to `failed` or, without it, raised.
    """
    yield from _below(str(folder), frozenset(), failed or _raise)


def matching(pattern: str) -> list[str]:
    """Return the files and folders that a pattern matches, sorted; `**` follows linked folders, but not in circles."""
    # `Path.glob` takes no absolute pattern
    found = sorted(glob(pattern, recursive=True))  # noqa: PTH207
    return [path for path in found if not _goes_round(path)] if "**" in pattern else found


def _goes_round(path: str) -> bool:
    whole = Path(path).absolute()
    folders = [_identity(folder) for folder in (whole, *whole.parents) if folder.is_dir()]
    return len(set(folders)) < len(folders)


def _below(folder: str, above: frozenset[Identity], failed: Callable[[OSError], None]) -> Iterator[Path]:
    try:
        identity = _identity(folder)
        if identity in above:
            return
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.path, entry.is_dir()) for entry in found)
    except OSError as error:
        failed(type(error)(f"{folder} cannot be listed: {error.strerror or error}."))
        return
    for _, path, is_folder in entries:
        if is_folder:
            yield from _below(path, above | {identity}, failed)
        else:
            yield Path(path)


def _raise(error: OSError) -> None:
    raise error


def _identity(folder: str | Path) -> Identity:
    found = Path(folder).stat()
    return found.st_dev, found.st_ino
