"""Atomic and durable writing: a file appears complete or not at all.

The content goes to a short temporary name in the target's folder, is flushed to the disk (fsync) and renamed. Links are
followed. Devices, named pipes and the process's own streams are written directly, since a rename would replace them.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_target", "replacing", "sync", "write_bytes", "writing"]

_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""Folders of open streams by name: behind the link may be a regular file, to which the shell appends."""
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE}
_FULL = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed", "inline_container")
"""Signs of a full disk in the errors of safetensors and torch, which have types of their own."""
_REMEDIES = {
    errno.ENOSPC: "Make room on the disk and run again.",
    errno.EDQUOT: "Make room in your quota and run again.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EROFS: "Choose a folder that you may write to.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def check_target(path: str | Path) -> None:
    """Raise an OSError that names `path` if it cannot be written: no such folder, a folder itself, no permission.

    Meant to be called before long work whose result is written there.
    """
    path = Path(path)
    target = _target(path)
    folder = target.parent
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Give the name of a file in it.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}. Make it first.")
    if not os.access(folder if _is_replaceable(path) else path, os.W_OK):
        raise PermissionError(f"{path} cannot be written: permission denied. {_REMEDIES[errno.EACCES]}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` at the end of the block, for writers that take a name.

    A new file gets the permissions that the umask grants, a replaced one keeps its own. Other than regular files are
    yielded directly. If the block fails, `path` stays what it was and the temporary is removed. Raises OSError that
    names `path` and the remedy if the disk is full or the file cannot be made.
    """
    path = Path(path)
    check_target(path)
    if not _is_replaceable(path):
        with _named(path, path):
            yield path
        return
    target = _target(path)
    part = target.with_name(f".{secrets.token_hex(4)}.part")
    try:
        with _named(path, part):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if target.exists():
                shutil.copymode(target, part)
            mode = part.stat().st_mode
            yield part
            if part.stat().st_mode != mode:  # safetensors puts a file in its place that only the owner may read
                part.chmod(mode)
            sync(part)
            part.replace(target)
            sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """Open `path` for binary writing; it appears, or is replaced, at the end of the block. Raises as `replacing`.

    Results may be streamed into it: a named pipe passes on what is flushed, a regular file appears whole.
    """
    with replacing(path) as part, part.open("wb" if _is_replaceable(path) else "ab") as file:
        yield file


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file atomically. Its folder must exist. Raises OSError."""
    with writing(path) as file:
        file.write(content)


def _is_replaceable(path: str | Path) -> bool:
    """Whether `path` is a regular file, or nothing yet: not a device, a pipe, or a stream of this process."""
    path = Path(path)
    return not str(path).startswith(_STREAMS) and (path.is_file() or not path.exists())


def _target(path: Path) -> Path:
    """Resolve links to the file itself; the last may point to a file that does not exist yet."""
    return path.resolve() if _is_replaceable(path) else path


def sync(path: Path, *, windows: bool = os.name == "nt") -> None:
    """Wait until the disk holds a file, or the entries of a folder.

    Windows flushes only what is open for writing, and cannot open a folder.
    """
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _named(path: Path, part: Path) -> Iterator[None]:
    """Name `path` instead of its temporary in errors of the disk; errors of other files are left alone."""
    try:
        yield
    except OSError as error:
        of_the_system = len(error.args) > 1
        ours = error.errno in _DISK if error.filename is None else Path(os.fsdecode(error.filename)) == part
        if not (of_the_system and ours):
            raise
        raise _disk_error(path, error.strerror or "", error.errno, type(error)) from error
    except Exception as error:
        if not any(sign in str(error) for sign in _FULL):
            raise
        raise _disk_error(path, str(error), errno.ENOSPC, OSError) from error


def _disk_error(path: Path, reason: str, number: int | None, kind: type[OSError]) -> OSError:
    remedy = _REMEDIES.get(number or 0, "")
    error = kind(" ".join(f"{path} was not written: {reason}. {remedy}".split()))
    error.errno = number
    return error
