"""Lists of utterances in files: fairseq's, csv, and Lhotse's recordings and cuts."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from slmcore import places
from slmcore.places import Place
from slmzoo.corpus.items import Item, folder_of, probable_length

__all__ = ["csv_rows", "fairseq", "lhotse"]

_FAIRSEQ_RATE = 16_000


def fairseq(place: Place) -> Iterator[Item]:
    """A fairseq manifest: the root in the first line, then `relative/path<TAB>samples` (taken as at 16 kHz)."""
    root, *lines = _lines(place) or [""]
    for number, line in enumerate(lines, 2):
        name, _, samples = line.partition("\t")
        if not name or not samples.strip().isdecimal():
            raise ValueError(_wrong(place, number, "`relative/path<TAB>samples`", line))
        inside, seconds = PurePosixPath(name), int(samples) / _FAIRSEQ_RATE
        file = str(places.join(root, name))
        yield Item(id=str(inside.with_suffix("")), audio=file, probable=round(seconds, 2), chapter=folder_of(name))


def csv_rows(place: Place) -> Iterator[Item]:
    """A csv file with a header: `path`, and as far as there are such columns id, start, seconds, speaker, chapter.

    Paths are relative to the file's folder. The id is otherwise the path without its extension; where neither speaker
    nor chapter is known, the chapter is the folder in the path.
    """
    for number, row in enumerate(csv.DictReader(_lines(place)), 2):
        if not row.get("path"):
            raise ValueError(_wrong(place, number, "a row with a value in the column `path`", dict(row)))
        try:
            start, seconds = float(row.get("start") or 0), float(row["seconds"]) if row.get("seconds") else None
        except ValueError:
            raise ValueError(_wrong(place, number, "numbers in `start` and `seconds`", dict(row))) from None
        name = row.get("id") or str(PurePosixPath(row["path"]).with_suffix(""))
        file = _beside(place, row["path"])
        yield Item(
            id=name,
            audio=file,
            probable=seconds or max(0.0, round(probable_length(file) - start, 2)),
            start=start,
            seconds=seconds,
            speaker=row.get("speaker") or None,
            chapter=row.get("chapter") or (None if row.get("speaker") else folder_of(row["path"])),
        )


def lhotse(place: Place) -> Iterator[Item]:
    """A Lhotse manifest in JSONL, compressed or not: recordings, or cuts of one recording each.

    Paths are taken as they stand. The chapter of a cut is its recording, the speaker that of its first supervision.
    """
    for number, line in enumerate(_lines(place), 1):
        try:
            row = json.loads(line)
            yield _cut(row) if "recording" in row else _recording(row)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            wanted = "a Lhotse recording or a cut of one recording, with a source of type `file`"
            raise ValueError(_wrong(place, number, wanted, line)) from error


def _recording(row: dict[str, Any]) -> Item:
    return Item(id=row["id"], audio=_file(row), probable=float(row["duration"]))


def _cut(row: dict[str, Any]) -> Item:
    seconds, channel = float(row["duration"]), row.get("channel")
    said = row.get("supervisions") or [{}]
    return Item(
        id=row["id"],
        audio=_file(row["recording"]),
        probable=seconds,
        start=float(row["start"]),
        seconds=seconds,
        channel=channel if isinstance(channel, int) else None,
        speaker=said[0].get("speaker"),
        chapter=row["recording"]["id"],
    )


def _file(recording: dict[str, Any]) -> str:
    (source,) = recording["sources"]
    if source["type"] != "file":
        raise ValueError(source["type"])
    return str(source["source"])


def _lines(place: Place) -> list[str]:
    content = places.read_bytes(place)
    try:
        text = (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode()
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{place} is no text, or damaged: {error}") from error
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def _beside(place: Place, path: str) -> str:
    if places.is_remote(path) or Path(path).is_absolute():
        return path
    folder = str(place).rpartition("/")[0] if places.is_remote(place) else Path(place).parent
    return str(places.join(folder, path))


def _wrong(place: Place, number: int, wanted: str, found: object) -> str:
    return f"{place}, line {number}, must be {wanted}, but is {str(found)[:200]!r}."
