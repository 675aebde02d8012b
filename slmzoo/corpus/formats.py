"""Conversion of records to and from unit files of other systems, with durations as repeated framewise units.

    npy               DP-SLM's language model: folder/**/<chapter>/<name>.npy, int, one unit per frame
    ellav             ELLA-V's training: folder/**/<name>.txt, "u74 u74 u123", one unit per frame
    slamkit           a file of JSON lines {"units", "duration", "file_name"}
    textlesslib       a file of lines name<TAB>units, one unit per frame
    zerosyl           folder/**/<name>.pt, int64 (n, 3): start and end in frames, unit
    speechtokenizer   folder/**/<name>.pt, codes (n_q, batch, frames); units are the first codebook's

None of them states frame rate, model or audio. Units are assumed to be at the given frame rate, without gaps from the
start, and of audio at 16 kHz; deduplicated units get durations of 1.

Ids, chapters and speakers that paths or lines cannot express are kept in TARGET/names.jsonl, or TARGET.names.jsonl
beside a file of lines, and are restored from there.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from slmcore import shards
from slmcore.errors import must
from slmcore.files import atomic, folders
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.corpus import codings
from slmzoo.corpus.codings import Pairs
from slmzoo.corpus.naming import Name, Names, file_of, name_of_file, name_of_line

__all__ = ["FORMATS", "convert"]

_RATE = 16_000
_RECORDS_A_SHARD = 8192
_NAMES = "names.jsonl"
_BOM = b"\xef\xbb\xbf"

LocatedRecords = Iterator[tuple[str, Record]]
"""Records, each with the file, or file and line, of its origin."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """Format of one system: a file per utterance, or one file with a line per utterance."""

    decode: Callable[[bytes], Any]
    """Parser of a file or line to (units, durations), for a line with the name before them."""
    encode: Callable[[Record], bytes]
    suffix: str | None = None
    """File name suffix of an utterance; None for lines."""

    def read(self, source: Path, frame_rate: float) -> LocatedRecords:
        """Read the records of a folder or a file of lines. A ValueError names the file, or file and line, at fault."""
        return self._lines(source, frame_rate) if self.suffix is None else self._files(source, self.suffix, frame_rate)

    def _lines(self, source: Path, frame_rate: float) -> LocatedRecords:
        names = _names_beside(source).read()
        with source.open("rb") as file:
            for number, line in enumerate(file, 1):
                content, where = line.removeprefix(_BOM) if number == 1 else line, f"{source}, line {number}"
                if content.strip():
                    name, pairs = _decoded(self.decode, content, where)
                    yield where, _record(names.get(name, name_of_line(name)), pairs, frame_rate, where)

    def _files(self, source: Path, suffix: str, frame_rate: float) -> LocatedRecords:
        files = sorted(_inside(source, suffix))
        if not files:
            raise FileNotFoundError(f"{source} holds no {suffix} file.")
        names = Names(source / _NAMES).read()
        for file in files:
            inside = str(PurePosixPath(file.relative_to(source).as_posix()).with_suffix(""))
            pairs = _decoded(self.decode, file.read_bytes(), str(file))
            yield str(file), _record(names.get(inside, name_of_file(inside)), pairs, frame_rate, str(file))

    def write(self, target: Path, records: Iterable[Record]) -> None:
        """Write all records or none. Raises a ValueError for a folder that already holds files of this format."""
        if self.suffix is None:
            self._write_lines(target, records)
            return
        with _filled(target, self.suffix) as part:
            names = Names(part / _NAMES)
            for record in records:
                inside = file_of(record)
                file = part / f"{inside}{self.suffix}"
                if file.exists():
                    raise ValueError(
                        f"{record.id!r} and another utterance would share the file {file.name}. Rename one."
                    )
                names.note(inside, name_of_file(inside), record)
                file.parent.mkdir(parents=True, exist_ok=True)
                atomic.write_bytes(file, self.encode(record))
            names.save()

    def _write_lines(self, target: Path, records: Iterable[Record]) -> None:
        names = _names_beside(target)
        with atomic.writing(target) as lines:
            for record in records:
                names.note(record.id, name_of_line(record.id), record)
                lines.write(self.encode(record))
        if target.is_file():  # and neither device nor pipe
            names.save()


def convert(source: Path, target: Path, *, read_as: str, write_as: str, frame_rate: float = 50.0) -> int:
    """Convert units from one format to another, either of which may be `shards`. Returns the number of utterances.

    `frame_rate`: frames per second of the source; shards state their own. Raises ValueError for an unknown format, an
    invalid file, a duplicate id, and a folder that already holds such files; the target then stays unchanged.
    """
    for name, value in (("read_as", read_as), ("write_as", write_as)):
        if value not in {*FORMATS, "shards"}:
            raise ValueError(must(name, f"one of shards, {', '.join(FORMATS)}", value))
    if not frame_rate > 0:
        raise ValueError(must("frame_rate", "a number of frames per second > 0", frame_rate))
    stated = {"converted_from": read_as, "frame_rate": repr(float(frame_rate)), "operating_point": "null"}
    provenance = shards.provenance(source) if read_as == "shards" else stated
    records = _of_shards(source) if read_as == "shards" else FORMATS[read_as].read(source, frame_rate)
    distinct = _Different(records)
    if write_as == "shards":
        _write_shards(target, distinct, provenance)
    else:
        FORMATS[write_as].write(target, distinct)
    return len(distinct)


class _Different:
    """Yield the records, counting them. A ValueError names the place of a duplicate id."""

    def __init__(self, records: LocatedRecords) -> None:
        self._records, self._seen = records, dict[str, str]()

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Record]:
        for where, record in self._records:
            if record.id in self._seen:
                first = self._seen[record.id]
                raise ValueError(f"{where}: the id {record.id!r} is taken, by {first}. Give each a name of its own.")
            self._seen[record.id] = where
            yield record


def _of_shards(source: Path) -> LocatedRecords:
    return ((str(source), record) for record in shards.read(source))


def _write_shards(target: Path, records: Iterable[Record], made: dict[str, str]) -> None:
    with _filled(target, ".parquet") as part:
        left, number = iter(records), 0
        while (some := list(islice(left, _RECORDS_A_SHARD))) or number == 0:
            shards.write(part / f"shard-{number:06d}.parquet", some, made)
            number += 1
        shards.write_index(part)


@contextmanager
def _filled(target: Path, suffix: str) -> Iterator[Path]:
    """Yield a folder whose files move into `target` at the end; a failed conversion leaves nothing."""
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file. Name a folder.")
    if target.is_dir() and next(_inside(target, suffix), None) is not None:
        what = "shards" if suffix == ".parquet" else f"{suffix} files"
        raise ValueError(f"{target} holds {what} already. Use another folder.")
    new, part = not target.exists(), target / f".{secrets.token_hex(4)}.part"
    part.mkdir(parents=True)
    try:
        yield part
        # The index marks the shards as complete.
        for file in sorted(_inside(part, ""), key=lambda file: (file.name == shards.INDEX, file)):
            place = target / file.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if new:
            with suppress(OSError):
                target.rmdir()
        raise
    shutil.rmtree(part)


def _inside(folder: Path, suffix: str) -> Iterator[Path]:
    """Return the files below a folder, through links, except those of an unfinished conversion."""
    for file in folders.walk(folder):
        if file.name.endswith(suffix) and not any(_is_part(name) for name in file.relative_to(folder).parts[:-1]):
            yield file


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _names_beside(lines: Path) -> Names:
    return Names(lines.with_name(f"{lines.name}.{_NAMES}"))


def _decoded(decode: Callable[[bytes], Any], content: bytes, where: str) -> Any:
    try:
        return decode(content)
    except Exception as error:  # damaged bytes may raise anything
        raise ValueError(f"{where} is not what it must be: {error!r}") from error


def _record(name: Name, pairs: Pairs, frame_rate: float, where: str) -> Record:
    if not name.id:
        raise ValueError(f"{where}: {must('id', 'a name', name.id)}")
    try:
        units = Units(*pairs, frame_rate)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return Record(name.id, units, round(units.seconds * _RATE), _RATE, name.speaker, name.chapter)


FORMATS = {
    "npy": Format(decode=codings.from_npy, encode=codings.to_npy, suffix=".npy"),
    "ellav": Format(decode=codings.from_ellav, encode=codings.to_ellav, suffix=".txt"),
    "slamkit": Format(decode=codings.from_slamkit, encode=codings.to_slamkit),
    "textlesslib": Format(decode=codings.from_textlesslib, encode=codings.to_textlesslib),
    "zerosyl": Format(decode=codings.from_zerosyl, encode=codings.to_zerosyl, suffix=".pt"),
    "speechtokenizer": Format(decode=codings.from_speechtokenizer, encode=codings.to_speechtokenizer, suffix=".pt"),
}
"""Formats by name; `shards` is another, this project's own."""
