"""Download of one URL to one file: streamed, resumed, retried with back-off; error pages are recognised."""

from __future__ import annotations

import email.utils
import json
import logging
import random
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from errno import EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tqdm import tqdm

from slmcore.errors import WITHOUT_NETWORK, FetchError
from slmcore.files.digests import write_atomically

if TYPE_CHECKING:
    from requests import Response

__all__ = ["Policy", "discard", "download", "innermost"]

log = logging.getLogger(__name__)

_PROGRESS = 1 << 20
_UNREACHABLE = frozenset({ENETUNREACH, EHOSTUNREACH, ENETDOWN})
"""Errors of the system that a retry does not solve."""
_TRANSIENT = frozenset({408, 425, 429})
_BEGINNINGS = {
    ".pt": (b"PK\x03\x04", b"\x80"),
    ".pth": (b"PK\x03\x04", b"\x80"),
    ".ckpt": (b"PK\x03\x04", b"\x80"),
    ".json": (b"{", b"["),
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Retries and timeouts of a download."""

    connect_timeout: float = 10.0
    """Timeout of connecting, seconds."""
    read_timeout: float = 30.0
    """Timeout of reading, seconds."""
    attempts: int = 5
    """Attempts that may fail in a row without a mebibyte of progress."""
    backoff: float = 1.0
    """Seconds before the second attempt, doubled before each further one."""
    longest_wait: float = 120.0
    """Longest wait, seconds; a server that asks for a longer one is given up on."""
    chunk: int = 1 << 16
    """Bytes written at a time."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Metadata of a partial download."""

    url: str
    validator: str
    """Strong ETag or date of the file; empty if the server gave neither, so that resuming could mix two versions."""
    size: int | None
    """Bytes of the whole file."""


class _TransientError(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(url: str, part: Path, *, progress: bool = True, policy: Policy | None = None) -> None:
    """Download `url` into the file `part`, resuming where an earlier call stopped.

    Raises FetchError at once when the server cannot be found or refuses, or sends a page in place of the file, and
    after several attempts when it keeps failing; what has arrived then stays in `part` for the next call. OSError of
    the disk is passed on.
    """
    policy = policy or Policy()
    failures, best = 0, 0
    while True:
        try:
            return _attempt(url, part, progress, policy)
        except _TransientError as problem:
            here = _size(part)
            failures, best = (1, here) if here >= best + _PROGRESS else (failures + 1, best)
            if failures >= policy.attempts:
                resumed = f": it resumes after the {here:,} bytes that are here" if here else ""
                raise FetchError(
                    f"Could not download {url}: {problem} ({failures} attempts in a row). Check the connection and "
                    f"run again{resumed}. {WITHOUT_NETWORK}"
                ) from None
            wait = _wait(url, problem.wait, failures, policy)
            log.warning("%s: %s; trying again in %.1f s.", url, problem, wait)
            time.sleep(wait)


def discard(part: Path) -> None:
    """Remove a partial download and its metadata."""
    part.unlink(missing_ok=True)
    _known_path(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, progress: bool, policy: Policy) -> None:
    known = _known(part, url)
    offset = _size(part) if known is not None else 0
    if known is not None and known.size == offset:
        return
    headers = {"Accept-Encoding": "identity"}
    if known is not None and offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
    with _open(url, headers, policy) as response:
        _check_status(response, part)
        offset, size = _begin(response, part, offset, known)
        blocks = _checked_blocks(response, url, offset, policy.chunk)
        free = shutil.disk_usage(part.parent).free
        if size is not None and size - offset > free:
            raise OSError(ENOSPC, f"{size - offset:,} bytes are needed and {free:,} are free")
        if not offset:
            discard(part)
            write_atomically(_known_path(part), json.dumps(asdict(_part_of(response, url, size))))
        _write(blocks, part, offset, size, progress)
    if size is not None and _size(part) != size:
        raise _TransientError(f"the connection ended after {_size(part):,} of {size:,} bytes")


@contextmanager
def _open(url: str, headers: dict[str, str], policy: Policy) -> Iterator[Response]:
    import requests
    from requests import exceptions as problems

    timeouts = (policy.connect_timeout, policy.read_timeout)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeouts) as response:
            yield response
    except problems.SSLError as error:
        reason = innermost(error)
        raise FetchError(f"No secure connection to {url}: {reason}. Check the clock, proxy and certificates.") from None
    except problems.Timeout:
        raise _TransientError("the server did not answer in time") from None
    except (problems.ConnectionError, problems.ChunkedEncodingError, problems.ContentDecodingError) as error:
        reason = innermost(error)
        if isinstance(reason, socket.gaierror) or getattr(reason, "errno", None) in _UNREACHABLE:
            host = urlsplit(url).hostname
            raise FetchError(f"Could not download {url}: {host} was not found ({reason}). {WITHOUT_NETWORK}") from None
        raise _TransientError(f"the connection broke ({reason})") from None
    except problems.RequestException as error:
        raise FetchError(f"Could not download {url}: {error}. Check the address.") from None


def innermost(error: BaseException) -> BaseException:
    """Return the cause of an error of requests, which wraps those of urllib3 and of the system."""
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        seen.append(inner)
        nested = (*inner.args, getattr(inner, "reason", None), inner.__cause__, inner.__context__)
        inner = next((each for each in nested if isinstance(each, BaseException)), None)
    return seen[-1]


def _check_status(response: Response, part: Path) -> None:
    status, answer = response.status_code, f"the server answered {response.status_code} {response.reason}"
    if status == 416:
        # The partial file is longer than the server's file is now.
        discard(part)
        raise _TransientError(answer, wait=0)
    if status in _TRANSIENT or status >= 500:
        raise _TransientError(answer, _retry_after(response))
    if status not in (200, 206):
        raise FetchError(
            f"Could not download {response.url}: {answer}. Check that the address is right and open to you, "
            "or set SLMZOO_MIRROR to a place that holds the file."
        )
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError(f"{response.url} came compressed though it must not. A proxy on the way may change files.")


def _begin(response: Response, part: Path, offset: int, known: _Part | None) -> tuple[int, int | None]:
    """Return the offset of the response's body in the file, and the size of the whole file."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if span is None or known is None or not offset:
        raise FetchError(f"{response.url} sent a range that was not asked for. Try SLMZOO_MIRROR.")
    start, size = int(span[1]), int(span[2])
    if start != offset or known.size not in (None, size):
        discard(part)
        raise _TransientError("the server sent another range than was asked for", wait=0)
    return offset, size


def _checked_blocks(response: Response, url: str, offset: int, chunk: int) -> Iterator[bytes]:
    """Yield the body in blocks. Raises a FetchError for a web page or an empty body before anything is written."""
    blocks = response.iter_content(chunk)
    first = next(blocks, b"")
    if not offset:
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if page or first.lstrip()[:64].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
            raise FetchError(
                f"{url} gave a web page in place of the file. A login page or a proxy may stand in between: open the "
                "address in a browser, or set SLMZOO_MIRROR."
            )
        if not _begins_as(Path(urlsplit(url).path).suffix, first):
            raise FetchError(f"What {url} sent does not begin like the file it should be. Nothing was kept.")
    return _chain(first, blocks)


def _begins_as(suffix: str, first: bytes) -> bool:
    if suffix == ".safetensors":
        return first[8:9] == b"{"
    return bool(first) and (suffix not in _BEGINNINGS or first.lstrip(b" \r\n\t").startswith(_BEGINNINGS[suffix]))


def _chain(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


def _write(blocks: Iterator[bytes], part: Path, offset: int, size: int | None, progress: bool) -> None:
    """Append `blocks`. The bar goes to stderr, and only to a terminal."""
    name = part.name.removeprefix(".").removesuffix(".part")
    quiet = None if progress else True
    with (
        part.open("ab") as file,
        tqdm(desc=name, initial=offset, total=size, unit="B", unit_scale=True, unit_divisor=1024, disable=quiet) as bar,
    ):
        for block in blocks:
            file.write(block)
            bar.update(len(block))


def _part_of(response: Response, url: str, size: int | None) -> _Part:
    tag = response.headers.get("ETag", "")
    strong = "" if tag.startswith("W/") else tag
    return _Part(url=url, validator=strong or response.headers.get("Last-Modified", ""), size=size)


def _known(part: Path, url: str) -> _Part | None:
    """Metadata of a partial download; None, with the partial file deleted, if it cannot be resumed."""
    try:
        known = _Part(**json.loads(_known_path(part).read_text(encoding="utf-8")))
        fits = known.url == url and known.validator and (known.size is None or _size(part) <= known.size)
    except (OSError, ValueError, TypeError):
        known, fits = None, False
    if fits:
        return known
    discard(part)
    return None


def _known_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _wait(url: str, asked: float | None, failures: int, policy: Policy) -> float:
    if asked is not None and asked > policy.longest_wait:
        remedy = "Run again after that, or set SLMZOO_MIRROR."
        raise FetchError(f"The server of {url} asks to wait {asked:.0f} s. {remedy}") from None
    if asked is not None:
        return asked
    # Jitter keeps machines that failed together from retrying together.
    return min(policy.longest_wait, policy.backoff * 2 ** (failures - 1) * random.uniform(1, 1.25))


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
