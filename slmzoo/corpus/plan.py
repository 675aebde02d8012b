"""Assignment of utterances to shards, fixed in a manifest when a job begins, so that it resumes identically.

The manifest is a file of one item per line; a shard is a range of lines. The boundaries follow from the manifest alone:
additions by an update are appended and divided separately, and removed items keep their lines.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus.items import Item

__all__ = ["Planned", "cut", "entries", "items", "items_of", "write_manifest"]

SHORTEST_SHARD, LONGEST_SHARD = 120.0, 3600.0
_SHARDS_OF_A_SMALL_CORPUS = 64
_MOST_ITEMS = 2048
_SECONDS_IF_UNKNOWN = 15.0


class _Line(NamedTuple):
    """Fields of a manifest line that decide the shard boundaries."""

    size: int
    """Bytes."""
    seconds: float
    update: int
    items: int
    """1, or 0 for what was removed."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Planned shard: a range of lines of the manifest."""

    number: int
    first_byte: int
    size: int
    """Bytes."""
    items: int
    seconds: float
    """Estimated speech, seconds."""

    @property
    def end(self) -> int:
        """Byte after its last."""
        return self.first_byte + self.size

    @property
    def name(self) -> str:
        """Name of the shard without an extension."""
        return f"shard-{self.number:06d}"


def write_manifest(place: Place, items: Iterable[Item]) -> None:
    """Write all items atomically."""
    lines = io.BytesIO()
    for item in items:
        lines.write(item.to_json().encode() + b"\n")
    places.write_bytes(place, lines.getvalue())


def cut(place: Place, seconds: float | None = None) -> list[Planned]:
    """Divide a manifest into shards of at least `seconds` of speech, by default 2 to 60 minutes, by its size."""
    shards: list[Planned] = []
    for _, lines in groupby(_lines(place), lambda line: line.update):
        shards.extend(_cut(list(lines), seconds, shards[-1].end if shards else 0, len(shards)))
    return shards


def items(place: Place) -> Iterator[Item]:
    """Yield the items of a manifest that were not removed."""
    return (item for item in entries(place) if not item.removed)


def entries(place: Place) -> Iterator[Item]:
    """Yield all lines of a manifest, including removed items."""
    with places.open_file(place) as file:
        yield from map(Item.from_json, file)


def items_of(place: Place, shard: Planned) -> list[Item]:
    """Return the items of a shard that were not removed."""
    with places.open_file(place) as file:
        file.seek(shard.first_byte)
        items = map(Item.from_json, file.read(shard.size).splitlines())
        return [item for item in items if not item.removed]


def _cut(lines: Sequence[_Line], seconds: float | None, first: int, number: int) -> Iterator[Planned]:
    """Divide lines from the byte `first` into shards from `number` on."""
    if seconds is None:
        share = sum(line.seconds for line in lines) / _SHARDS_OF_A_SMALL_CORPUS
        seconds = min(max(share, SHORTEST_SHARD), LONGEST_SHARD)
    size, items, held, begin = 0, 0, 0.0, 0
    for end, line in enumerate(lines, 1):
        size, items, held = size + line.size, items + line.items, held + line.seconds
        if held >= seconds or end - begin == _MOST_ITEMS or end == len(lines):
            yield Planned(number=number, first_byte=first, size=size, items=items, seconds=held)
            number, first, begin = number + 1, first + size, end
            size, items, held = 0, 0, 0.0


def _lines(place: Place) -> Iterator[_Line]:
    with places.open_file(place) as file:
        for line in file:
            item = Item.from_json(line)
            yield _Line(len(line), item.probable or _SECONDS_IF_UNKNOWN, item.update, int(not item.removed))
