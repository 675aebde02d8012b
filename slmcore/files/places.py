"""Files that may lie in a folder of this machine or in an object store: whole reads and writes by path or URL.

What contains `://` goes through fsspec (`s3://`, `gs://`, `memory://`, ...), everything else is a path. A file that is
written appears whole or not at all: on a disk by a temporary name, fsync and rename, in an object store by nature.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from slmcore.files import atomic

__all__ = [
    "Place",
    "exists",
    "is_remote",
    "join",
    "make_folder",
    "matching",
    "names",
    "open_file",
    "plain",
    "read_bytes",
    "remove",
    "sizes",
    "write_bytes",
]

Place = str | Path
"""A path, or a URL that fsspec knows."""


def is_remote(place: Place) -> bool:
    """Whether `place` is a URL for fsspec; `file://` too is one."""
    return "://" in str(place)


def plain(place: str) -> str:
    """A URL of this machine, `file://...`, as the path that it is, with all that a disk offers; others as they are."""
    return place.removeprefix("file://")


def join(folder: Place, name: str) -> Place:
    """The place of `name` in `folder`, of the folder's kind."""
    return f"{str(folder).rstrip('/')}/{name}" if is_remote(folder) else Path(folder) / name


def open_file(place: Place) -> BinaryIO:
    """Open for reading, seekable. Raises FileNotFoundError or another OSError."""
    if not is_remote(place):
        return Path(place).open("rb")
    store, path = _store(place)
    return cast("BinaryIO", store.open(path, "rb"))


def read_bytes(place: Place) -> bytes:
    """All of a file. Raises FileNotFoundError or another OSError."""
    with open_file(place) as file:
        return file.read()


def exists(place: Place) -> bool:
    """Whether there is a file or folder."""
    if not is_remote(place):
        return Path(place).exists()
    store, path = _store(place)
    return bool(store.exists(path))


def names(folder: Place) -> list[str]:
    """Names of what lies in a folder, sorted; none if there is no such folder, as an object store has no empty one."""
    if not is_remote(folder):
        return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []
    store, path = _store(folder)
    if not store.isdir(path):
        return []
    return sorted(str(found).rstrip("/").rsplit("/", 1)[-1] for found in store.ls(path, detail=False, refresh=True))


def sizes(folder: Place) -> dict[str, int]:
    """Bytes of the files in a folder, by name; one listing, where asking for each would take a request each."""
    if not is_remote(folder):
        here = Path(folder)
        return {path.name: path.stat().st_size for path in here.iterdir() if path.is_file()} if here.is_dir() else {}
    store, path = _store(folder)
    found = store.ls(path, detail=True) if store.isdir(path) else []
    return {str(file["name"]).rsplit("/", 1)[-1]: int(file.get("size") or 0) for file in found}


def walk(url: str) -> Iterator[tuple[str, int]]:
    """The files below a URL, sorted: their names from there, and their bytes. A file has itself, named ""."""
    store, path = _store(url)
    found = store.find(path, detail=True)
    for name in sorted(found):
        yield name.removeprefix(path).lstrip("/"), int(found[name].get("size") or 0)


def matching(pattern: str) -> list[str]:
    """The files and folders that a URL with `*` matches, sorted."""
    top = pattern
    while "*" in top:
        top = top.rpartition("/")[0]
    store, path = _store(pattern)
    _, start = _store(top)
    return [str(join(top, str(found).removeprefix(start).strip("/"))) for found in sorted(store.glob(path))]


def make_folder(folder: Place) -> None:
    """Make a folder and its parents; in an object store there is nothing to make."""
    if not is_remote(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


def remove(place: Place) -> None:
    """Delete a file if it is there."""
    if not is_remote(place):
        Path(place).unlink(missing_ok=True)
        return
    store, path = _store(place)
    if store.exists(path):
        store.rm(path)


def write_bytes(place: Place, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, and lasts. Its folder must be there. Raises OSError."""
    if is_remote(place):
        store, path = _store(place)
        store.pipe_file(path, content)
        return
    atomic.write_bytes(place, content)


def _store(place: Place) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(f"{place} needs fsspec: pip install 'slmzoo[corpus]'.") from error
    store, path = fsspec.core.url_to_fs(str(place))
    return store, path
