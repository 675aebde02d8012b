"""Unit files of other systems, to and from records: what each holds is kept, durations by repeating units per frame.

    npy               DP-SLM's language model: folder/**/<chapter>/<name>.npy, int, one unit a frame
    ellav             ELLA-V's training: folder/**/<name>.txt, "u74 u74 u123", one unit a frame
    slamkit           a file of JSON lines {"units", "duration", "file_name"}
    textlesslib       a file of lines name<TAB>units, one unit a frame
    zerosyl           folder/**/<name>.pt, int64 (n, 3): start and end in frames, unit
    speechtokenizer   folder/**/<name>.pt, codes (n_q, batch, frames); units are the first codebook's

None of them says at which frame rate, by which model or of which audio it was made. What is read is taken to be at the
rate named, gap-free from the beginning, and of audio at 16 kHz; units written without repeats get durations of 1.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore import shards
from slmcore.errors import must
from slmcore.files import places
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.corpus.items import folder_of

__all__ = ["FORMATS", "convert"]

_RATE = 16_000
_RECORDS_A_SHARD = 8192
Pairs = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one system keeps units: in a file for each utterance, or as a line each of one file."""

    decode: Callable[[bytes], Any]
    """The content of a file, or of a line, to (units, durations); of a line with the name before them."""
    encode: Callable[[Record], bytes]
    suffix: str | None = None
    """Of the file of an utterance; None for lines."""

    def read(self, source: Path, frame_rate: float) -> Iterator[Record]:
        """The records of a folder, or of a file of lines. A ValueError names what cannot be read."""
        if self.suffix is None:
            with source.open("rb") as file:
                for number, line in enumerate(file, 1):
                    name, pairs = _told(self.decode, line, f"{source}, line {number}")
                    yield _record(name, pairs, frame_rate, f"{source}, line {number}")
            return
        files = sorted(source.rglob(f"*{self.suffix}"))
        if not files:
            raise FileNotFoundError(f"{source} holds no {self.suffix} file.")
        for file in files:
            inside = PurePosixPath(file.relative_to(source).as_posix())
            pairs = _told(self.decode, file.read_bytes(), str(file))
            yield _record(str(inside.with_suffix("")), pairs, frame_rate, str(file))

    def write(self, target: Path, records: Iterable[Record]) -> None:
        """Write all records; a file of lines appears when it is whole."""
        if self.suffix is not None:
            for record in records:
                file = target / f"{_inside(record)}{self.suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                places.write_bytes(file, self.encode(record))
            return
        part = target.with_name(f".{target.name}.part")
        with part.open("wb") as lines:
            lines.writelines(self.encode(record) for record in records)
            lines.flush()
            os.fsync(lines.fileno())
        part.replace(target)


def convert(source: Path, target: Path, *, read_as: str, write_as: str, frame_rate: float = 50.0) -> int:
    """Bring units from one format to another; either may be `shards`. Returns how many utterances there were.

    `frame_rate`: frames a second of what is read; shards say it themselves. Raises ValueError for an unknown format, a
    file that is not of its format, or shards that are there already.
    """
    for name, value in (("read_as", read_as), ("write_as", write_as)):
        if value not in {*FORMATS, "shards"}:
            raise ValueError(must(name, f"one of shards, {', '.join(FORMATS)}", value))
    if not frame_rate > 0:
        raise ValueError(must("frame_rate", "a number of frames a second > 0", frame_rate))
    known = {"converted_from": read_as, "frame_rate": repr(float(frame_rate)), "operating_point": "null"}
    made = shards.provenance(source) if read_as == "shards" else known
    counted = _Counted(shards.read(source) if read_as == "shards" else FORMATS[read_as].read(source, frame_rate))
    if write_as == "shards":
        _write_shards(target, counted, made)
    else:
        FORMATS[write_as].write(target, counted)
    return counted.number


class _Counted:
    """An iterator that knows how far it is."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records, self.number = iter(records), 0

    def __iter__(self) -> Iterator[Record]:
        for record in self.records:
            self.number += 1
            yield record


def _write_shards(target: Path, records: Iterable[Record], made: dict[str, str]) -> None:
    if any(name.endswith(".parquet") for name in places.names(target)):
        raise ValueError(f"{target} holds shards already. Use another folder.")
    target.mkdir(parents=True, exist_ok=True)
    left, number = iter(records), 0
    while (some := list(islice(left, _RECORDS_A_SHARD))) or number == 0:
        shards.write(target / f"shard-{number:06d}.parquet", some, made)
        number += 1
    shards.write_index(target)


def _told(decode: Callable[[bytes], Any], content: bytes, where: str) -> Any:
    try:
        return decode(content)
    except Exception as error:  # damaged bytes fail in ways that have no type in common
        raise ValueError(f"{where} is not what it must be: {error!r}") from error


def _record(name: str, pairs: Pairs, frame_rate: float, where: str) -> Record:
    try:
        units = Units(*pairs, frame_rate)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return Record(name, units, round(units.seconds * _RATE), _RATE, chapter=folder_of(name))


def _inside(record: Record) -> str:
    """Where an utterance's file goes: in the folder of its chapter, so that training makes the same groups of both."""
    chapter, place = PurePosixPath(record.chapter or record.speaker or ""), PurePosixPath(record.id)
    for name, path in (("id", place), ("chapter", chapter)):
        if path.is_absolute() or ".." in path.parts or not place.name:
            raise ValueError(must(name, "a relative path, to become the name of a file", str(path)))
    return str(place if place.parent == chapter else chapter / record.id.replace("/", "%2F"))


def _joined(framewise: Iterable[int] | Tensor) -> Pairs:
    values = framewise if isinstance(framewise, Tensor) else torch.tensor(list(framewise), dtype=torch.int64)
    if values.ndim != 1 or values.is_floating_point():
        raise ValueError(must("units", "whole numbers (frames,)", f"a {values.dtype} tensor {tuple(values.shape)}"))
    units, durations = torch.unique_consecutive(values.long(), return_counts=True)
    return units, durations


def _from_npy(content: bytes) -> Pairs:
    return _joined(torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False)))


def _to_npy(record: Record) -> bytes:
    file = io.BytesIO()
    np.save(file, record.units.framewise().numpy())
    return file.getvalue()


def _from_ellav(content: bytes) -> Pairs:
    words = content.decode().split()
    if not all(word.startswith("u") and word[1:].isdecimal() for word in words):
        raise ValueError("units are written u0, u1, ...")
    return _joined(int(word[1:]) for word in words)


def _to_ellav(record: Record) -> bytes:
    return (" ".join(f"u{unit}" for unit in record.units.framewise().tolist()) + "\n").encode()


def _from_slamkit(line: bytes) -> tuple[str, Pairs]:
    row = json.loads(line)
    units, durations = (torch.tensor(row[name], dtype=torch.int64) for name in ("units", "duration"))
    return str(row["file_name"]), (units, durations)


def _to_slamkit(record: Record) -> bytes:
    row = {"units": record.units.units.tolist(), "duration": record.units.durations.tolist(), "file_name": record.id}
    return (json.dumps(row) + "\n").encode()


def _from_textlesslib(line: bytes) -> tuple[str, Pairs]:
    name, _, ids = line.decode().rstrip("\r\n").partition("\t")
    return name, _joined(int(unit) for unit in ids.split())


def _to_textlesslib(record: Record) -> bytes:
    if any(sign in record.id for sign in "\t\r\n"):
        raise ValueError(must("id", "without tabs and line ends, to begin a line", record.id))
    return f"{record.id}\t{' '.join(map(str, record.units.framewise().tolist()))}\n".encode()


def _from_zerosyl(content: bytes) -> Pairs:
    rows = _tensor(content)
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.is_floating_point():
        raise ValueError(must("units", "an int64 tensor (n, 3)", f"a {rows.dtype} tensor {tuple(rows.shape)}"))
    starts, ends, units = rows.long().unbind(1)
    if len(rows) and (starts[0] != 0 or not torch.equal(starts[1:], ends[:-1])):
        raise ValueError("the units do not follow one another without a gap from frame 0 on")
    return units, ends - starts


def _to_zerosyl(record: Record) -> bytes:
    ends = record.units.durations.cumsum(0)
    return _saved(torch.stack([ends - record.units.durations, ends, record.units.units], 1))


def _from_speechtokenizer(content: bytes) -> Pairs:
    codes = _tensor(content)
    if codes.ndim != 3 or codes.shape[1] != 1:
        raise ValueError(must("codes", "a tensor (n_q, 1, frames)", f"a tensor {tuple(codes.shape)}"))
    return _joined(codes[0, 0])


def _to_speechtokenizer(record: Record) -> bytes:
    return _saved(record.units.framewise()[None, None])


def _tensor(content: bytes) -> Tensor:
    file = io.BytesIO(content)
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(loaded, Tensor):
        raise ValueError(must("the file", "one tensor", f"a {type(loaded).__name__}"))
    return loaded


def _saved(tensor: Tensor) -> bytes:
    file = io.BytesIO()
    torch.save(tensor, file)
    return file.getvalue()


FORMATS = {
    "npy": Format(decode=_from_npy, encode=_to_npy, suffix=".npy"),
    "ellav": Format(decode=_from_ellav, encode=_to_ellav, suffix=".txt"),
    "slamkit": Format(decode=_from_slamkit, encode=_to_slamkit),
    "textlesslib": Format(decode=_from_textlesslib, encode=_to_textlesslib),
    "zerosyl": Format(decode=_from_zerosyl, encode=_to_zerosyl, suffix=".pt"),
    "speechtokenizer": Format(decode=_from_speechtokenizer, encode=_to_speechtokenizer, suffix=".pt"),
}
"""By name; `shards` is a further one, of this project."""
