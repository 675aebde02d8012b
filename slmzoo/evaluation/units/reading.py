"""Reading of an evaluation's recordings by the corpus engine, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slmzoo.corpus.items import Item, probable_length
from slmzoo.corpus.stages import Decoded, read

__all__ = ["read_recordings"]

_SECONDS_AT_ONCE = 600.0
_READERS = 2


def read_recordings(files: Mapping[str, Path], sample_rate: int) -> Iterator[Decoded]:
    """Read recordings by id, in that order, at `sample_rate` Hz; about ten minutes of speech at a time.

    Empty, silent and damaged recordings are in `Decoded.failed`. Raises OSError if no recording can be read because the
    device fails.
    """
    with ThreadPoolExecutor(_READERS) as threads:
        for part in _parts(files):
            yield read(part, sample_rate, (), threads)


def _parts(files: Mapping[str, Path]) -> Iterator[list[Item]]:
    part: list[Item] = []
    seconds = 0.0
    for name in sorted(files):
        item = Item(id=name, audio=str(files[name]), probable=probable_length(str(files[name])))
        if part and seconds + item.probable > _SECONDS_AT_ONCE:
            yield part
            part, seconds = [], 0.0
        part.append(item)
        seconds += item.probable
    if part:
        yield part
