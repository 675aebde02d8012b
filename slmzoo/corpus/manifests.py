"""Lists of utterances: fairseq manifests, csv, and Lhotse's recordings and cuts."""

from __future__ import annotations

import csv
import gzip
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus.items import Item, folder_of, probable_length

__all__ = ["csv_rows", "fairseq", "lhotse"]

log = logging.getLogger(__name__)
_FAIRSEQ_RATE = 16_000
_COLUMNS = ("path", "id", "start", "seconds", "speaker", "chapter")
_MISTAKEN = {
    "begin": "`start`",
    "dur": "`seconds`",
    "duration": "`seconds`",
    "end": "`seconds`, how long the part lasts",
    "length": "`seconds`",
    "offset": "`start`",
    "stop": "`seconds`, how long the part lasts",
}
"""Columns that select a part of the audio in other tools, so must not be ignored, with their replacements."""


class _WantedError(ValueError):
    """Requirement that a line does not meet; its reader adds the line's number."""


def fairseq(place: Place) -> Iterator[Item]:
    """Read a fairseq manifest: the root in the first line, then `relative/path<TAB>samples` (assumed at 16 kHz)."""
    (first, root), *lines = _lines(place) or [(1, "")]
    if "\t" in root:
        raise ValueError(_wrong(place, first, "the folder that all paths start from", root))
    for number, line in lines:
        name, _, samples = line.partition("\t")
        if not name or not samples.strip().isdecimal():
            raise ValueError(_wrong(place, number, "`relative/path<TAB>samples`", line))
        inside, seconds = PurePosixPath(name), int(samples) / _FAIRSEQ_RATE
        file = str(places.join(root, name))
        yield Item(id=str(inside.with_suffix("")), audio=file, probable=round(seconds, 2), chapter=folder_of(name))


def csv_rows(place: Place) -> Iterator[Item]:
    """Read a csv file with a header: `path`, and optionally id, start, seconds, speaker, chapter.

    Paths are relative to the file's folder. The default id is the path without its extension; if neither speaker nor
    chapter is known, the chapter is the folder in the path. Other columns are named in a warning; those that select a
    part of the audio in other tools (`end`, `duration`, `offset`, ...) raise a ValueError, as do invalid rows.
    """
    reader = csv.DictReader(_csv_lines(place), skipinitialspace=True)
    reader.fieldnames = _columns(place, reader.fieldnames or [])
    for row in reader:
        try:
            yield _of_csv(place, row)
        except _WantedError as error:
            raise ValueError(_wrong(place, reader.line_num, str(error), _shown(row))) from None


def lhotse(place: Place) -> Iterator[Item]:
    """Read a Lhotse manifest in JSONL, compressed or not: recordings, or cuts of one recording each.

    Paths are used unchanged. The chapter of a cut is its recording, the speaker that of its first supervision.
    `Resample` among the transforms is ignored. Raises ValueError for all other transforms, which are not applied here,
    and for cuts of several but not all channels of a recording.
    """
    for number, line in _lines(place):
        try:
            row = json.loads(line)
            yield _cut(row) if "recording" in row else _recording(row)
        except _WantedError as error:
            raise ValueError(_wrong(place, number, str(error), line)) from None
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            wanted = "a Lhotse recording or a cut of one recording, with a source of type `file`"
            raise ValueError(_wrong(place, number, wanted, line)) from error


def _of_csv(place: Place, row: Mapping[Any, Any]) -> Item:
    if None in row:
        raise _WantedError("a row of no more values than the header has")
    if not row.get("path"):
        raise _WantedError("a row with a value in the column `path`")
    start, seconds = _part(row.get("start") or 0, row.get("seconds") or None)
    file = _beside(place, row["path"])
    return Item(
        id=row.get("id") or str(PurePosixPath(row["path"]).with_suffix("")),
        audio=file,
        probable=seconds or max(0.0, round(probable_length(file) - start, 2)),
        start=start,
        seconds=seconds,
        speaker=row.get("speaker") or None,
        chapter=row.get("chapter") or (None if row.get("speaker") else folder_of(row["path"])),
    )


def _recording(row: Mapping[str, Any]) -> Item:
    _check_transforms(row)
    return Item(id=row["id"], audio=_file(row), probable=float(row["duration"]))


def _cut(row: Mapping[str, Any]) -> Item:
    recording, supervisions = row["recording"], row.get("supervisions") or [{}]
    _check_transforms(row)
    _check_transforms(recording)
    start, seconds = _part(row["start"], row["duration"])
    return Item(
        id=row["id"],
        audio=_file(recording),
        probable=seconds or 0.0,
        start=start,
        seconds=seconds,
        channel=_channel(row.get("channel"), recording["sources"][0].get("channels")),
        speaker=supervisions[0].get("speaker"),
        chapter=recording["id"],
    )


def _channel(wanted: Any, held: list[int] | None) -> int | None:
    """Return the channel of the file, from 0, of a cut of `wanted`; None for all.

    `held`: the recording's ids of the file's channels, in order.
    """
    named = wanted if isinstance(wanted, list) else [wanted]
    if wanted is None or (held and len(named) > 1 and sorted(named) == sorted(held)):
        return None
    if len(named) > 1 or (held and named[0] not in held):
        raise _WantedError(f"a cut of one channel, or of all that its recording has ({held})")
    return held.index(named[0]) if held else int(named[0])


def _check_transforms(entry: Mapping[str, Any]) -> None:
    named = [str(each.get("name", each)) for each in entry.get("transforms") or []]
    if wrong := [name for name in named if name != "Resample"]:
        remedy = "save the transformed audio, as with Lhotse's CutSet.save_audios, and name the manifest of that"
        raise _WantedError(f"audio as it lies in its file, without the transforms {', '.join(wrong)} ({remedy})")


def _file(recording: Mapping[str, Any]) -> str:
    (source,) = recording["sources"]
    if source["type"] != "file":
        raise ValueError(source["type"])
    return str(source["source"])


def _part(start: Any, seconds: Any) -> tuple[float, float | None]:
    """Return start and duration of a part in its audio, in seconds; None is to the end."""
    try:
        start, seconds = float(start), None if seconds is None else float(seconds)
    except (TypeError, ValueError):
        raise _WantedError("a part with numbers where it begins and how long it lasts") from None
    if not (math.isfinite(start) and start >= 0):
        raise _WantedError("a part that begins at a finite number of seconds >= 0")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise _WantedError("a part that lasts a finite number of seconds > 0")
    return start, seconds


def _columns(place: Place, header: Sequence[str]) -> list[str]:
    """Return the stripped names of a csv's columns."""
    names = [name.strip() for name in header]
    for name in names:
        if name not in _COLUMNS and name.lower() in (*_MISTAKEN, *_COLUMNS):
            instead = _MISTAKEN.get(name.lower(), f"`{name.lower()}`")
            raise ValueError(f"{place}, line 1, has a column `{name}`: write {instead} instead, or leave it out.")
    if "path" not in names or len(set(names)) < len(names):
        wanted = f"a header with `path`, and each column once, of {', '.join(_COLUMNS)}"
        raise ValueError(_wrong(place, 1, wanted, ",".join(header)))
    if others := [name for name in names if name not in _COLUMNS]:
        log.warning("%s: these columns are not used: %s.", place, ", ".join(others))
    return names


def _shown(row: Mapping[Any, Any]) -> str:
    """Return the stripped values of a row; those beyond the header are under None."""
    values = [value for name, value in row.items() if name is not None and value is not None]
    return ",".join([*values, *row.get(None, [])])


def _csv_lines(place: Place) -> Iterator[str]:
    """Return the lines with their ends; csv skips empty lines, but takes blank ones for rows."""
    for line in _text(place).split("\n"):
        yield f"{line}\n" if line.strip() else "\n"


def _lines(place: Place) -> list[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers in the file, from 1."""
    return [(number, line) for number, line in enumerate(_text(place).split("\n"), 1) if line.strip()]


def _text(place: Place) -> str:
    """Read the text of a file, gzipped or not, without byte-order mark and carriage returns."""
    content = places.read_bytes(place)
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{place} is not UTF-8 text, or damaged: {error}. Save it as UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _beside(place: Place, path: str) -> str:
    if places.is_remote(path) or Path(path).is_absolute():
        return path
    return str(places.join(places.parent(place), path))


def _wrong(place: Place, number: int, wanted: str, value: object) -> str:
    return f"{place}, line {number}, must be {wanted}, but is {str(value)[:200]!r}."
