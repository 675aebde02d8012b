"""Reads and writes of whole files by path or URL, on this machine or in an object store.

Places with `://` go through fsspec (`s3://`, `gs://`, `memory://`, ...), all others are paths. A URL may be chained,
`zip://folder/a.wav::archive.zip`. Writes are atomic: on a disk by a temporary name, fsync and rename, in an object
store by nature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from slmcore.files import atomic

__all__ = [
    "Place",
    "exists",
    "is_pattern",
    "is_remote",
    "join",
    "make_folder",
    "matching",
    "names",
    "open_file",
    "parent",
    "path_in",
    "plain",
    "read_bytes",
    "remove",
    "sizes",
    "stamp",
    "walk",
    "write_bytes",
]

Place = str | Path
"""A path, or a URL that fsspec knows."""


def is_remote(place: Place) -> bool:
    """Whether `place` is a URL for fsspec, including `file://`."""
    return "://" in str(place)


def plain(place: str) -> str:
    """Strip `file://`, so that local URLs are handled as paths; return other places unchanged.

    `%20` and the like are decoded, as `Path.as_uri` writes them, unless there is a file of the undecoded name.
    """
    path = re.sub(r"^file://(localhost(?=/))?", "", place)
    return path if path == place or Path(path).exists() else unquote(path)


def path_in(place: Place) -> str:
    """Return the path of a place, for its name and extension: a URL's without protocol, query and escapes.

    For a chained URL it is the path in the archive; for others it begins with the bucket or host.
    """
    if not is_remote(place):
        return str(place)
    head, path, _ = _split(place)
    return unquote(path) if _is_web(head) else path


def is_pattern(url: Place) -> bool:
    """Whether a URL is a pattern with `*`."""
    return "*" in _split(url)[1]


def join(folder: Place, name: str) -> Place:
    """Return the place of `name` in `folder`, a path or URL like the folder."""
    if not is_remote(folder):
        return Path(folder) / name
    head, path, tail = _split(folder)
    return f"{head}{path.rstrip('/')}/{name}{tail}" if path.strip("/") else f"{head}{path}{name}{tail}"


def parent(place: Place) -> Place:
    """Return the folder of a place, a path or URL like the place."""
    if not is_remote(place):
        return Path(place).parent
    head, path, tail = _split(place)
    return f"{head}{path.rstrip('/').rpartition('/')[0]}{tail}"


def open_file(place: Place) -> BinaryIO:
    """Open for reading, seekable. Raises FileNotFoundError or another OSError."""
    if not is_remote(place):
        return Path(place).open("rb")
    store, path = _store(place)
    with _reaching(place):
        return cast("BinaryIO", store.open(path, "rb"))


def read_bytes(place: Place) -> bytes:
    """Read a whole file. Raises FileNotFoundError or another OSError."""
    with open_file(place) as file:
        return file.read()


def exists(place: Place) -> bool:
    """Whether there is a file or folder."""
    if not is_remote(place):
        return Path(place).exists()
    store, path = _store(place)
    with _reaching(place):
        return bool(store.exists(path))


def names(folder: Place) -> list[str]:
    """Return the names in a folder, sorted; none for a missing folder, since object stores have no empty ones."""
    if not is_remote(folder):
        return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []
    store, path = _store(folder)
    with _reaching(folder):
        found = store.ls(path, detail=False, refresh=True) if store.isdir(path) else []
    return sorted(str(name).rstrip("/").rsplit("/", 1)[-1] for name in found)


def sizes(folder: Place) -> dict[str, int]:
    """Return the sizes in bytes of the files in a folder, by name, from a single listing."""
    if not is_remote(folder):
        here = Path(folder)
        return {path.name: path.stat().st_size for path in here.iterdir() if path.is_file()} if here.is_dir() else {}
    store, path = _store(folder)
    with _reaching(folder):
        found = store.ls(path, detail=True) if store.isdir(path) else []
    return {str(file["name"]).rsplit("/", 1)[-1]: int(file.get("size") or 0) for file in found}


def walk(url: str) -> Iterator[tuple[str, int, str]]:
    """Yield the files below a URL, sorted: relative names, bytes, and stamps. A file yields itself, named ""."""
    store, path = _store(url)
    with _reaching(url):
        found = store.find(path, detail=True)
    for name in sorted(found):
        yield name.removeprefix(path).lstrip("/"), int(found[name].get("size") or 0), _stamp(found[name])


def stamp(place: Place) -> str:
    """Return a text that changes when a file is replaced: its bytes and, where known, its modification time.

    Raises OSError.
    """
    if not is_remote(place):
        stat = Path(place).stat()
        return f"{stat.st_size}:{stat.st_mtime_ns}"
    store, path = _store(place)
    with _reaching(place):
        return _stamp(store.info(path))


def matching(pattern: str) -> list[str]:
    """The files and folders that a URL with `*` matches, sorted."""
    head, path, tail = _split(pattern)
    while "*" in path:
        path = path.rpartition("/")[0]
    top = f"{head}{path}{tail}"
    store, wanted = _store(pattern)
    _, start = _store(top)
    with _reaching(pattern):
        found = sorted(store.glob(wanted))
    return [str(join(top, str(name).removeprefix(start).strip("/"))) for name in found]


def make_folder(folder: Place) -> None:
    """Make a folder and its parents; a no-op in an object store."""
    if not is_remote(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


def remove(place: Place) -> None:
    """Delete a file if it exists."""
    if not is_remote(place):
        Path(place).unlink(missing_ok=True)
        return
    store, path = _store(place)
    if store.exists(path):
        store.rm(path)


def write_bytes(place: Place, content: bytes) -> None:
    """Write a file atomically and durably. Its folder must exist. Raises OSError."""
    if is_remote(place):
        store, path = _store(place)
        store.pipe_file(path, content)
        return
    atomic.write_bytes(place, content)


def _stamp(known: dict[str, Any]) -> str:
    """Make a stamp of a store's metadata of a file, whose names differ between stores."""
    written = ("ETag", "etag", "CRC", "LastModified", "Last-Modified", "last_modified", "mtime", "updated", "created")
    stamps = (str(known[name]) for name in written if known.get(name))
    return f"{int(known.get('size') or 0)}:{next(stamps, '')}"


def _split(url: Place) -> tuple[str, str, str]:
    """Split a URL into the part before its path, the path, and the part after: a query, or the rest of a chain."""
    links = str(url).split("::")
    first = next(i for i, link in enumerate(links) if "://" in link)
    protocol, _, path = links[first].partition("://")
    head = "::".join([*links[:first], f"{protocol}://"])
    after = re.search(r"[?#].*", path) if _is_web(head) else None
    path, query = (path[: after.start()], after.group()) if after else (path, "")
    return head, path, "::".join([query, *links[first + 1 :]])


def _is_web(head: str) -> bool:
    return head.endswith(("http://", "https://"))


def _store(place: Place) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(f"{place} needs fsspec: pip install 'slmzoo[corpus]'.") from error
    for link in filter(lambda link: "://" in link, str(place).split("::")):
        protocol = link.partition("://")[0]
        try:
            fsspec.get_filesystem_class(protocol)
        except ValueError as error:
            known = "s3, gs, abfs, hf, http, https, sftp, zip and others"
            raise ValueError(f"{place} names the protocol {protocol}, but fsspec knows {known}.") from error
        except ImportError as error:
            raise ImportError(f"{place} needs a package that is not here: {error}.") from error
    head, path, tail = _split(place)
    with _reaching(place):
        if "::" in tail:
            return _archive(f"{head}{tail}"), path.strip("/")
        return fsspec.core.url_to_fs(str(place))


@lru_cache(maxsize=8)
def _archive(url: str) -> Any:
    """Open an archive and keep it open: its files can only be read meanwhile, and listing it again is slow."""
    import fsspec

    return fsspec.core.url_to_fs(url)[0]


@contextmanager
def _reaching(place: Place) -> Iterator[None]:
    """Turn the exceptions of a store, each of which has its own, into an OSError that names the place."""
    try:
        yield
    except OSError as error:
        if str(place) in str(error):
            raise
        kind = next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")  # others need arguments
        raise kind(f"{place}: {error}") from error
    except Exception as error:
        raise OSError(f"{place} cannot be reached: {error or type(error).__name__}") from error
