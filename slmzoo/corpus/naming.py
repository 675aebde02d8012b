"""Ids, chapters and speakers of utterances in files of other systems, whose paths and lines cannot express all three.

The rest is kept in a file of JSON lines beside them, {"name", "id", "chapter", "speaker"}, which other systems ignore.
Without that file only the path or line is known.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from slmcore.errors import must
from slmcore.files import atomic
from slmcore.shards import Record
from slmzoo.corpus.items import folder_of

__all__ = ["Name", "Names", "file_of", "name_of_file", "name_of_line"]

_SLASH, _PERCENT = "%2F", "%25"


@dataclass(frozen=True)
class Name:
    """Name of an utterance."""

    id: str
    chapter: str | None = None
    speaker: str | None = None


def file_of(record: Record) -> str:
    """Return the path of an utterance's file without suffix, in the folder of its chapter, by which training groups.

    Raises ValueError for an id or chapter that leaves the folder.
    """
    chapter, place = PurePosixPath(record.chapter or record.speaker or ""), PurePosixPath(record.id)
    for name, path in (("id", place), ("chapter", chapter)):
        if path.is_absolute() or ".." in path.parts or not place.name:
            raise ValueError(must(name, "a relative path, to become the name of a file", str(path)))
    if place.parent == chapter and str(place) == record.id:
        return record.id
    escaped = record.id.replace("%", _PERCENT) if "/" in record.id else record.id
    return str(chapter / escaped.replace("/", _SLASH))


def name_of_file(inside: str) -> Name:
    """Parse a file's path without suffix: the id is the path, or the file's name if that contains a `%2F`."""
    last = PurePosixPath(inside).name
    name = last.replace(_SLASH, "/").replace(_PERCENT, "%") if _SLASH in last else inside
    return Name(name, folder_of(inside))


def name_of_line(name: str) -> Name:
    """Parse the name in a line."""
    return Name(name, folder_of(name))


class Names:
    """File of names that paths or lines do not express, by path or name in the line."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._rows: list[str] = []

    def read(self) -> dict[str, Name]:
        """Read the file; an empty mapping if there is none. A ValueError names a damaged line."""
        if not self.file.is_file():
            return {}
        names: dict[str, Name] = {}
        with self.file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    name = row.pop("name")
                    names[name] = Name(**row)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise ValueError(
                        f"{self.file}, line {number} is damaged. Remove the file, or that line."
                    ) from error
        return names

    def note(self, name: str, implied: Name, record: Record) -> None:
        """Record the names of a record if they differ from `implied`, those of its path or line."""
        actual = Name(record.id, record.chapter, record.speaker)
        if actual != implied:
            self._rows.append(json.dumps({"name": name, **asdict(actual)}) + "\n")

    def save(self) -> None:
        """Write the recorded names; without any, remove an earlier file."""
        if self._rows:
            atomic.write_bytes(self.file, "".join(self._rows).encode())
        else:
            self.file.unlink(missing_ok=True)
