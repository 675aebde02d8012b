"""Archives (zip and tar) of published models, unpacked once, into their own folder and never outside it."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock

from slmcore.errors import CheckpointError

__all__ = ["opened"]

_RECORD = ".unpacked.json"
_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


def opened(path: str | Path) -> Path:
    """Return the folder of an archive's files, unpacked beside it unless it already is; other paths as they are.

    Where all files lie in one folder of the archive, it is that folder. An archive with a link, a device, or a file
    that would leave the folder is refused as a whole (CheckpointError), as is a damaged one. Raises OSError that names
    the remedy where the folder cannot be written.
    """
    path = Path(path).expanduser()
    if not path.is_file() or not path.name.lower().endswith(_ENDINGS):
        return path
    folder = path.with_name(f"{path.name}.unpacked")
    if not _is_current(folder, path):
        try:
            with FileLock(str(path.with_name(f".{path.name}.lock"))):
                if not _is_current(folder, path):
                    _unpack(path, folder)
        except PermissionError as error:
            remedy = "Unpack it yourself into a folder of yours, and give that."
            raise PermissionError(f"{path} cannot be unpacked in its own folder: {error}. {remedy}") from error
    return _innermost(folder)


def _innermost(folder: Path) -> Path:
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    return _innermost(inside[0]) if len(inside) == 1 and inside[0].is_dir() else folder


def _identity(archive: Path) -> list[int]:
    found = archive.stat()
    return [found.st_size, found.st_mtime_ns]


def _is_current(folder: Path, archive: Path) -> bool:
    record = folder / _RECORD
    return record.is_file() and json.loads(record.read_text()) == _identity(archive)


def _unpack(archive: Path, folder: Path) -> None:
    identity = _identity(archive)
    made = Path(tempfile.mkdtemp(prefix=f".{archive.name}.", dir=archive.parent))
    try:
        for name, content in _files(archive):
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        (made / _RECORD).write_text(json.dumps(identity))
        shutil.rmtree(folder, ignore_errors=True)
        made.replace(folder)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"{archive.name} is damaged, or no archive: {error}. Download it again.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the regular files by their checked names, once all names are known to be harmless."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened_zip:
            members = [member for member in opened_zip.infolist() if not member.is_dir()]
            for member in members:
                kind = member.external_attr >> 28
                _check(archive, member.filename, kind in (0, 8))
            for member in members:
                with opened_zip.open(member) as content:
                    yield member.filename, content
        return
    with tarfile.open(archive) as opened_tar:
        entries = [entry for entry in opened_tar if not entry.isdir()]
        for entry in entries:
            _check(archive, entry.name, entry.isreg())
        for entry in entries:
            content = opened_tar.extractfile(entry)
            if content is not None:
                yield entry.name, content


def _check(archive: Path, name: str, plain: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    if not plain or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        what = "a path that leaves its folder" if plain else "a link or device"
        raise CheckpointError(f"{archive.name} holds {name!r}, {what}, and was not unpacked. Do not use it.")
