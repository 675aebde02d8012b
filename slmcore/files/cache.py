"""The cache folder (torch.hub's): each file downloaded once, however many processes ask, and verified before use."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from slmcore.errors import DigestError, FetchError, OfflineError, must
from slmcore.files.atomic import sync
from slmcore.files.digests import Record, check, read_record, record_path, sha256_of, write_record
from slmcore.files.download import Policy, discard, download
from slmcore.files.rows import file_name

__all__ = ["Wanted", "cache_folder", "obtain", "offline", "verify_cached"]

log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file on the internet, with its known digest."""

    url: str
    sha256: str = ""
    """First digits that its SHA-256 must have; empty if none are known."""
    published: bool = False
    """Whether its name is unique, so that it is shared with torch.hub's own downloads."""
    shared: bool = False
    """Whether other published files share its name, so that a mirror holds it under its name in the cache folder."""

    @property
    def name(self) -> str:
        """The file's name at its origin."""
        return file_name(self.url)

    @property
    def path(self) -> Path:
        """Path of the file in the cache folder, present or not."""
        unlike = "" if self.published else f"url-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}-"
        return cache_folder() / (unlike + self.name)

    @property
    def name_in_mirror(self) -> str:
        """The file's name in a mirror."""
        return self.path.name if self.shared else self.name


def cache_folder() -> Path:
    """torch.hub's folder for checkpoints; TORCH_HOME moves it."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def offline() -> bool:
    """Whether SLMZOO_OFFLINE forbids the network."""
    value = os.environ.get("SLMZOO_OFFLINE", "").strip().lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no"):
        raise ValueError(must("SLMZOO_OFFLINE", "1 or 0", value))
    return value in ("1", "true", "yes")


def obtain(wanted: Wanted, *, progress: bool = True, policy: Policy | None = None) -> Path:
    """The verified path of `wanted`, downloaded if it is not in the cache. Raises FetchError and its kinds."""
    path = wanted.path
    if not path.exists():
        with _telling(path), _locked(path):
            if not path.exists():
                _bring(wanted, path, progress, policy)
    verify_cached(wanted)
    return path


def verify_cached(wanted: Wanted, *, again: bool = False) -> Record:
    """Check a cached file: by its record if size and time agree, else (or with `again`) by its content.

    Raises DigestError if the digest is wrong, FileNotFoundError if the file is missing.
    """
    path = wanted.path
    if not path.is_file():
        raise FileNotFoundError(f"{wanted.name} is not in {path.parent}. Fetch it first.")
    record = read_record(path)
    remedy = f"It was damaged or replaced after it arrived. Delete {path} and run again to download it anew."
    if record is not None and record.still_holds(path) and not again:
        check(record.sha256, wanted.sha256, path, remedy)
        return record
    found = sha256_of(path)
    check(found, wanted.sha256, path, remedy)
    if record is not None:
        check(found, record.sha256, path, f"{remedy} If you changed it on purpose, delete {record_path(path)}.")
    return write_record(path, found, record.url if record else wanted.url)


def _bring(wanted: Wanted, path: Path, progress: bool, policy: Policy | None) -> None:
    """Download the file from the first address that has it."""
    part = path.with_name(f".{path.name}.part")
    addresses = _addresses(wanted)
    problem: FetchError | None = None
    for address in addresses:
        try:
            if isinstance(address, Path):
                _copy(address, part)
            else:
                download(address, part, progress=progress, policy=policy)
            return _accept(wanted, part, path, str(address))
        except FetchError as error:
            problem = error
            if address is not addresses[-1]:
                log.warning("%s Trying the next address.", error)
    if problem is None or offline():
        raise OfflineError(
            f"{wanted.name} is not in {path.parent}, and SLMZOO_OFFLINE=1 forbids the network. Unset it, copy the file "
            f"to {path}, or set SLMZOO_MIRROR to a folder that holds it. The demo zoo (--zoo demo) needs no download."
        ) from None
    raise problem


def _addresses(wanted: Wanted) -> list[str | Path]:
    """Yield the mirror, if set, then the origin; offline, only a mirror that is a folder."""
    mirror = os.environ.get("SLMZOO_MIRROR", "")
    remote = mirror.startswith(("https://", "http://"))
    if "://" in mirror and not remote:
        raise ValueError(must("SLMZOO_MIRROR", "an http(s) URL or a folder", mirror))
    addresses: list[str | Path] = []
    name = wanted.name_in_mirror
    if mirror:
        addresses.append(f"{mirror.rstrip('/')}/{name}" if remote else Path(mirror).expanduser() / name)
    addresses.append(wanted.url)
    return [a for a in addresses if isinstance(a, Path) or not offline()]


def _copy(source: Path, part: Path) -> None:
    if not source.is_file():
        raise FetchError(f"The mirror {source.parent} holds no {source.name}.")
    discard(part)
    shutil.copyfile(source, part)


def _accept(wanted: Wanted, part: Path, path: Path, address: str) -> None:
    """Verify the download and give it its name; a wrong file is removed, and the error says so."""
    found, earlier = sha256_of(part), read_record(path)
    try:
        check(found, wanted.sha256, path, f"{address} sent another file; nothing was kept. Run again, or use a mirror.")
        if earlier is not None:
            remedy = f"It must equal the first download. If you trust the new file, delete {record_path(path)}."
            check(found, earlier.sha256, path, remedy)
    except DigestError:
        discard(part)
        raise
    sync(part)
    part.replace(path)
    sync(path.parent)
    discard(part)
    write_record(path, found, address)
    if not wanted.sha256:
        log.info("No digits of %s are known; its SHA-256 %s is recorded.", path.name, found)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock in the cache folder; the system releases it if the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(path.with_name(f".{path.name}.lock")))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.warning("Another process is downloading %s; waiting for it.", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn disk errors into messages with a remedy; a partial file that filled the disk is removed."""
    try:
        yield
    except FetchError:
        raise
    except OSError as error:
        where = f"the cache folder {path.parent}"
        if error.errno in _FULL:
            discard(path.with_name(f".{path.name}.part"))
            remedy = f"{where} has no room for {path.name}. Free some space, or set TORCH_HOME to a larger disk"
        elif error.errno in _READ_ONLY:
            remedy = f"{where} cannot be written. Set TORCH_HOME to a folder of yours, or put {path.name} there"
        else:
            remedy = f"{where} cannot be used. Set TORCH_HOME to another folder"
        raise FetchError(error.errno, f"{remedy[0].upper()}{remedy[1:]} ({error.strerror or error}).") from error
