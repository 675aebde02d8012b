"""Which utterances lie in which shard: fixed in a manifest when a job begins, so that it goes on as it began.

The manifest is a file of items, one a line; a shard is a run of its lines. The cuts follow from the manifest alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus.items import Item

__all__ = ["Planned", "cut", "items", "items_of", "write_manifest"]

SHORTEST_SHARD, LONGEST_SHARD = 120.0, 3600.0
_SHARDS_OF_A_SMALL_CORPUS = 64
_MOST_ITEMS = 2048
_SECONDS_IF_UNKNOWN = 15.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One shard to be: a run of lines of the manifest."""

    number: int
    first_byte: int
    size: int
    """Bytes."""
    items: int
    seconds: float
    """Speech it probably holds."""

    @property
    def name(self) -> str:
        """The shard's name without an extension."""
        return f"shard-{self.number:06d}"


def write_manifest(place: Place, items: Iterable[Item]) -> None:
    """Write all items; the file appears whole or not at all."""
    lines = io.BytesIO()
    for item in items:
        lines.write(item.to_json().encode() + b"\n")
    places.write_bytes(place, lines.getvalue())


def cut(place: Place, seconds: float | None = None) -> list[Planned]:
    """Cut a manifest into shards of at least `seconds` of speech, by default 2 to 60 minutes by the corpus's size."""
    lengths = list(_lengths(place))
    if seconds is None:
        share = sum(length for _, length in lengths) / _SHARDS_OF_A_SMALL_CORPUS
        seconds = min(max(share, SHORTEST_SHARD), LONGEST_SHARD)
    found: list[Planned] = []
    first, size, items, held = 0, 0, 0, 0.0
    for number, (line, length) in enumerate(lengths, 1):
        size, items, held = size + line, items + 1, held + length
        if held >= seconds or items == _MOST_ITEMS or number == len(lengths):
            found.append(Planned(number=len(found), first_byte=first, size=size, items=items, seconds=held))
            first, size, items, held = first + size, 0, 0, 0.0
    return found


def items(place: Place) -> Iterator[Item]:
    """All items of a manifest."""
    with places.open_file(place) as file:
        yield from map(Item.from_json, file)


def items_of(place: Place, shard: Planned) -> list[Item]:
    """The items of a shard."""
    with places.open_file(place) as file:
        file.seek(shard.first_byte)
        return [Item.from_json(line) for line in file.read(shard.size).splitlines()]


def _lengths(place: Place) -> Iterator[tuple[int, float]]:
    with places.open_file(place) as file:
        for line in file:
            yield len(line), Item.from_json(line).probable or _SECONDS_IF_UNKNOWN
