"""Local files of registry rows, URLs, Hugging Face files, package data and local paths."""

from __future__ import annotations

import importlib.resources
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from slmcore.errors import must
from slmcore.files import model_hub
from slmcore.files.cache import Wanted, cache_folder, obtain, verify_cached
from slmcore.files.digests import check, read_record, sha256_of
from slmcore.files.download import Policy
from slmcore.files.registry import Row, built_in_zoos, shared_names
from slmcore.files.rows import file_name

__all__ = ["Policy", "Status", "cache_folder", "fetch", "resolve", "status", "verify"]

log = logging.getLogger(__name__)

_KINDS_OF_PLACES = {"package": "shipped", "hf": "unknown"}
_PACKAGE = re.compile(r"package://(?P<package>[a-zA-Z_][\w.]*)/(?P<file>[^/]+)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Local state of a row's file."""

    state: str
    """"verified" (has the known digest), "recorded" (no digest is known; equals the first download), "shipped" (part of
    the package), "own" (a file on this machine without a known digest), "unknown" (present, but not verified since it
    last changed) or "absent"."""
    path: Path | None = None
    size: int | None = None
    """Bytes."""
    sha256: str = ""
    """All 64 digits, if they are known."""


def resolve(source: str | Path | Row, *, progress: bool = True, policy: Policy | None = None) -> Path:
    """Return the file that `source` names: a row, a local path, or an address that `fetch` takes.

    Raises FileNotFoundError, ValueError for an address of another kind, FetchError for a download that fails.
    """
    address = source.url if isinstance(source, Row) else source
    if not isinstance(address, (str, Path)) or not str(address):
        raise ValueError(must("checkpoint", "a path, a URL or hf://owner/repo/file", source))
    if isinstance(address, str) and "://" in address:
        return fetch(source if isinstance(source, Row) else address, progress=progress, policy=policy)
    path = Path(address).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"No file at {path}. Give an existing file, a URL or hf://owner/repo/file.")
    return _checked(path, _digits(source))


def fetch(row_or_url: Row | str, *, progress: bool = True, policy: Policy | None = None) -> Path:
    """Return the local file of a row or URL, downloaded if missing.

    `https://` and `http://` go to torch.hub's cache folder, verified (see `slmcore.files.cache`); a damaged file there
    raises an error that names it and is never replaced unasked, since someone may have put it there.
    `hf://owner/repo[@revision]/file` goes to Hugging Face's own cache, `package://package/file` is data of an installed
    package. SLMZOO_MIRROR (a URL or folder with the files by name) is tried before http(s); SLMZOO_OFFLINE=1 forbids
    the network.
    """
    url = row_or_url.url if isinstance(row_or_url, Row) else row_or_url
    scheme = url.partition("://")[0] if isinstance(url, str) else ""
    if scheme in ("https", "http"):
        return obtain(_wanted(row_or_url), progress=progress, policy=policy)
    if scheme == "hf":
        return _checked(model_hub.file_of(url), _digits(row_or_url))
    if scheme == "package":
        return _checked(_from_package(url), _digits(row_or_url))
    raise ValueError(must("url", "https://, http://, hf://owner/repo/file or package://package/file", url))


def verify(source: Row | str | Path) -> str:
    """Verify the file of `source` by reading all of it; return its SHA-256 (64 digits).

    Nothing is downloaded. Raises DigestError if the digest is wrong, FileNotFoundError if the file is missing.
    """
    address = source.url if isinstance(source, Row) else str(source)
    if address.startswith(("https://", "http://")):
        return verify_cached(_wanted(source if isinstance(source, Row) else address), again=True).sha256
    path = model_hub.file_of(address, local_only=True) if address.startswith("hf://") else resolve(source)
    found, record = sha256_of(path), read_record(path)
    check(found, _digits(source) or (record.sha256 if record else ""), path, "It was damaged or replaced.")
    return found


def status(row: Row) -> Status:
    """Return the local state of a row's file, offline; files outside the cache folder are read for their digest."""
    try:
        if row.url.startswith(("https://", "http://")):
            return _cached_status(row)
        path = model_hub.file_of(row.url, local_only=True) if row.url.startswith("hf://") else resolve(row)
    except FileNotFoundError:
        return Status(state="absent")
    except OSError as error:
        log.warning("%s: %s", row.label, error)
        return Status(state="unknown")
    known = "verified" if row.sha256 else _KINDS_OF_PLACES.get(row.url.partition("://")[0], "own")
    return Status(state=known, path=path, size=path.stat().st_size)


def _cached_status(row: Row) -> Status:
    path = _wanted(row).path
    if not path.is_file():
        return Status(state="absent")
    record, size = read_record(path), path.stat().st_size
    if record is None or not record.still_holds(path) or not record.sha256.startswith(row.sha256):
        return Status(state="unknown", path=path, size=size)
    return Status(state="verified" if row.sha256 else "recorded", path=path, size=size, sha256=record.sha256)


def _wanted(source: Row | str) -> Wanted:
    if isinstance(source, Row):
        known = source.zoo in built_in_zoos()
        shared = known and source.file in shared_names()
        return Wanted(url=source.url, sha256=source.sha256, published=known and not shared, shared=shared)
    return Wanted(url=source)


def _digits(source: object) -> str:
    return source.sha256 if isinstance(source, Row) else ""


def _checked(path: Path, digits: str) -> Path:
    if digits:
        check(sha256_of(path), digits, path, f"{path} was damaged or replaced. Put the right file there.")
    return path


def _from_package(url: str) -> Path:
    match = _PACKAGE.fullmatch(url)
    if match is None:
        raise ValueError(must("url", "package://package/file", url))
    try:
        path = Path(str(importlib.resources.files(match["package"]) / file_name(url)))
    except ModuleNotFoundError as error:
        raise FileNotFoundError(f"The package of {url} is not installed. Install slmzoo as a whole.") from error
    if not path.is_file():
        raise FileNotFoundError(f"{url} is not part of this installation. Install slmzoo again.")
    return path
