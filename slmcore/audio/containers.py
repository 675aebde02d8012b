"""Completeness of audio files by their headers: wav, aiff, au, w64, sphere and ogg.

libsndfile reads the beginning of a truncated file without an error. Chunks: IFF, RIFF, and EBU Tech 3306 for RF64;
pages: RFC 3533.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Extent", "extent", "is_ogg", "ogg_is_whole", "with_size"]

_UNKNOWN = 0x7FFFF000, 0xFFFFF000
"""Sizes declared by recorders that cannot seek back: from these to the largest 31-bit and 32-bit numbers. The audio
then ends with the file."""
_UNKNOWN_SPAN = 0x1000
_OGG_TAIL = 1 << 17
"""More than two of the largest pages."""
_OGG_HEADER, _OGG_LAST = 27, 4
_W64_HEADER = 16
_SPHERE_SIZES = re.compile(rb"(sample_count|channel_count|sample_n_bytes) -i (\d+)")


@dataclass(frozen=True)
class Extent:
    """The audio of a file in bytes."""

    start: int
    """Offset of its first byte in the file."""
    declared: int
    """Bytes that the header states."""
    present: int
    """Bytes from `start` to the end of the file, including anything behind the audio."""
    is_open: bool = False
    """Whether the size was never written, as by a stream or a crashed recorder: all that follows is audio."""

    @property
    def lacks(self) -> float:
        """Missing bytes relative to those present; 0 for a whole file."""
        return max(0, self.declared - self.present) / max(1, self.present)


def extent(file: BinaryIO) -> Extent | None:
    """Return the extent of the audio in an open file; None for formats that do not declare it in bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(_W64_HEADER + 8)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return _of_chunks(file, size, b"data", "big" if head[:4] == b"RIFX" else "little")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _of_chunks(file, size, b"SSND", "big")
    if head[:4] == b".snd":
        start, declared = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return Extent(start, declared, size - start, _is_unknown(declared))
    if head[:4] == b"riff" and len(head) == _W64_HEADER + 8:
        declared = int.from_bytes(head[_W64_HEADER:], "little")
        return Extent(0, declared, size, declared == 0)
    return _of_sphere(file, size) if head[:7] == b"NIST_1A" else None


def is_ogg(file: BinaryIO) -> bool:
    """Whether an open file begins with a page of Ogg."""
    file.seek(0)
    return file.read(4) == b"OggS"


def ogg_is_whole(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is whole and ends its stream."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _OGG_TAIL))
    tail = file.read()
    last = tail.rfind(b"OggS\0")
    if last < 0 or last + _OGG_HEADER > len(tail):
        return False
    segments = tail[last + _OGG_HEADER :][: tail[last + 26]]
    page = _OGG_HEADER + tail[last + 26] + sum(segments)
    return bool(tail[last + 5] & _OGG_LAST) and last + page <= len(tail)


def with_size(content: bytes, found: Extent) -> bytes:
    """Return a wav with the size of its audio in the header, where its recorder never wrote it."""
    order = "big" if content[:4] == b"RIFX" else "little"
    riff, data = ((size).to_bytes(4, order) for size in (len(content) - 8, found.present))
    return content[:4] + riff + content[8 : found.start - 4] + data + content[found.start :]


def _of_chunks(file: BinaryIO, size: int, wanted: bytes, order: str) -> Extent | None:
    """Return the extent of the first chunk of that name; RF64 declares its size in `ds64`."""
    place, large = 12, None
    while place + 8 <= size:
        name, declared = _chunk(file, place, order)
        if name == b"ds64":
            file.seek(place + 16)
            large = int.from_bytes(file.read(8), "little")
        if name == wanted:
            start = place + 8
            declared = large if large is not None and declared == 0xFFFFFFFF else declared
            died = declared == 0 and size > start and not _is_chunks(file, start, size, order)
            return Extent(start, declared, size - start, died or (large is None and _is_unknown(declared)))
        place += 8 + declared + declared % 2
    return None


def _chunk(file: BinaryIO, place: int, order: str) -> tuple[bytes, int]:
    file.seek(place)
    header = file.read(8)
    return header[:4], int.from_bytes(header[4:], "big" if order == "big" else "little")


def _is_chunks(file: BinaryIO, place: int, size: int, order: str) -> bool:
    """Whether chunks with plausible names fill a file from `place` to its end."""
    while place + 8 <= size:
        name, declared = _chunk(file, place, order)
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        place += 8 + declared + declared % 2
    return size <= place <= size + 1


def _of_sphere(file: BinaryIO, size: int) -> Extent | None:
    """Return the extent of NIST SPHERE audio by its text header; None for compressed files."""
    file.seek(0)
    header = file.read(1024)
    sizes = {name.decode(): int(value) for name, value in _SPHERE_SIZES.findall(header)}
    start = header[8:16].strip()
    if len(sizes) < 3 or not start.isdigit() or b"shorten" in header:
        return None
    declared = sizes["sample_count"] * sizes["channel_count"] * sizes["sample_n_bytes"]
    return Extent(int(start), declared, size - int(start))


def _is_unknown(declared: int) -> bool:
    return any(first <= declared < first + _UNKNOWN_SPAN for first in _UNKNOWN)
