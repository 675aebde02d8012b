"""SHA-256 of files, and records of the last verification beside cached files."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from slmcore.errors import DigestError
from slmcore.files import places

__all__ = ["Record", "check", "read_record", "record_path", "sha256_of", "write_atomically", "write_record"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record of a file at its last verification."""

    sha256: str
    """All 64 hex digits."""
    size: int
    """Bytes."""
    mtime_ns: int
    url: str
    """Source URL of the file."""

    def still_holds(self, path: Path) -> bool:
        """Whether size and time of `path` are as recorded, so that its content need not be read again."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


def sha256_of(path: Path) -> str:
    """The 64 hex digits of the file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check(found: str, wanted: str, path: Path, remedy: str) -> None:
    """Raise a DigestError unless the digits `found` begin with those `wanted`."""
    if not found.startswith(wanted):
        raise DigestError(f"{path.name} has SHA-256 {found[:16]}..., but must have {wanted[:16]}... {remedy}")


def read_record(path: Path) -> Record | None:
    """Return the record beside `path`; None if it is missing or unreadable, so that the file is verified anew."""
    try:
        record = Record(**json.loads(record_path(path).read_text(encoding="utf-8")))
        if [type(value) for value in asdict(record).values()] == [str, int, int, str]:
            return record
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    log.warning("The record %s cannot be read and is ignored.", record_path(path))
    return None


def write_record(path: Path, sha256: str, url: str) -> Record:
    """Record that `path` is verified, and return the record. In a read-only folder the file is read anew each time."""
    stat = path.stat()
    record = Record(sha256=sha256, size=stat.st_size, mtime_ns=stat.st_mtime_ns, url=url)
    try:
        write_atomically(record_path(path), json.dumps(asdict(record)))
    except OSError as error:
        log.info("No record of %s could be written: %s", path, error)
    return record


def write_atomically(path: Path, text: str) -> None:
    """Write a small file atomically."""
    places.write_bytes(path, text.encode())


def record_path(path: Path) -> Path:
    """Return the path of the verification record of `path`."""
    return path.with_name(f"{path.name}.record.json")
