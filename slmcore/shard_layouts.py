"""Layouts of shards: units with durations, or codes of a codec, each with its columns and its metadata.

A row is an utterance: id, units and durations (frames) or codes (a list per codebook), samples and sample_rate of the
audio, and speaker and chapter where known. Metadata of all rows of a shard: `frame_rate`, and `operating_point` (JSON)
of units or `codebook_sizes` (JSON, one per codebook) of codes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from slmcore.errors import must
from slmcore.units import Codes, OperatingPoint, Units

__all__ = ["CODES", "LAYOUTS", "UNITS", "AnyRecord", "CodesRecord", "Layout", "Record"]


@dataclass(frozen=True, eq=False)
class Record:
    """Units of one utterance, with its metadata."""

    id: str
    """Name of the utterance, unique in its corpus."""
    units: Units
    samples: int
    """Length of the audio, at `sample_rate`."""
    sample_rate: int
    """Sample rate of the original audio, Hz."""
    speaker: str | None = None
    chapter: str | None = None
    """Longer recording that the utterance was cut from: a chapter, a talk, a file."""


@dataclass(frozen=True, eq=False)
class CodesRecord:
    """Codec codes of one utterance, with the metadata of `Record`."""

    id: str
    codes: Codes
    samples: int
    sample_rate: int
    speaker: str | None = None
    chapter: str | None = None


AnyRecord = Record | CodesRecord


class Layout(Protocol):
    """A version of the schema."""

    format: str
    """Name and version, as an index states them."""
    holds: str
    """Name of a row's content in messages."""
    counted: str
    """Name of the quantity that an index counts."""
    known: tuple[str, str]
    """Metadata that every shard has."""
    alike: str
    """Description, in messages, of the metadata that the records of a shard share."""

    def columns(self, pa: Any) -> dict[str, Any]:
        """Return the types of the columns that only this layout has."""
        ...

    def values(self, record: Any) -> dict[str, Any]:
        """Return the values of these columns. Raises ValueError for an invalid record."""
        ...

    def facts(self, record: Any) -> dict[str, str]:
        """Return the metadata that a record implies."""
        ...

    def count(self, record: Any) -> int:
        """Return how many of `counted` a record has."""
        ...

    def records(self, batch: Any, metadata: Mapping[str, str]) -> Iterator[Any]:
        """Return the records of rows. Raises ValueError for invalid rows."""
        ...


class _UnitsLayout:
    format, holds, counted = "slmzoo-units/1", "units", "units"
    known: tuple[str, str] = ("frame_rate", "operating_point")
    alike = "of one frame rate and operating point"

    def columns(self, pa: Any) -> dict[str, Any]:
        return {"units": _counts(pa), "durations": _counts(pa)}

    def values(self, record: Record) -> dict[str, Any]:
        _check_below_k(record)
        return {"units": record.units.units.cpu().numpy(), "durations": record.units.durations.cpu().numpy()}

    def facts(self, record: Record) -> dict[str, str]:
        point = record.units.operating_point
        return {
            "frame_rate": repr(float(record.units.frame_rate)),
            "operating_point": point.to_json() if point else "null",
        }

    def count(self, record: Record) -> int:
        return len(record.units)

    def records(self, batch: Any, metadata: Mapping[str, str]) -> Iterator[Record]:
        point, rate = _point(metadata), float(metadata["frame_rate"])
        lists = zip(_tensors(batch.column("units")), _tensors(batch.column("durations")), strict=True)
        for (name, *rest), (units, durations) in zip(_common(batch), lists, strict=True):
            if units.shape != durations.shape:
                raise ValueError(f"{name!r} has {len(units)} units, but {len(durations)} durations.")
            record = Record(name, Units(units, durations, rate, point), *rest)
            _check_below_k(record)
            yield record


class _CodesLayout:
    format, holds, counted = "slmzoo-codes/1", "codes", "frames"
    known: tuple[str, str] = ("frame_rate", "codebook_sizes")
    alike = "of one frame rate, number of codebooks and size of these"

    def columns(self, pa: Any) -> dict[str, Any]:
        return {"codes": pa.list_(pa.field("item", _counts(pa), nullable=False))}

    def values(self, record: CodesRecord) -> dict[str, Any]:
        return {"codes": record.codes.codes.cpu().tolist()}

    def facts(self, record: CodesRecord) -> dict[str, str]:
        codes = record.codes
        sizes = [codes.codebook_size] * codes.num_codebooks
        return {"frame_rate": repr(float(codes.frame_rate)), "codebook_sizes": json.dumps(sizes)}

    def count(self, record: CodesRecord) -> int:
        return len(record.codes)

    def records(self, batch: Any, metadata: Mapping[str, str]) -> Iterator[CodesRecord]:
        sizes, rate, column = _sizes(metadata), float(metadata["frame_rate"]), batch.column("codes")
        levels = iter(_tensors(column.flatten()))
        for (name, *rest), number in zip(_common(batch), column.value_lengths().to_pylist(), strict=True):
            rows = [next(levels) for _ in range(number)]
            if number != len(sizes) or len({len(row) for row in rows}) > 1:
                lengths = [len(row) for row in rows]
                raise ValueError(f"{name!r} has codes of {lengths} frames, but there are {len(sizes)} codebooks.")
            yield CodesRecord(name, Codes(torch.stack(rows), rate, sizes[0]), *rest)


UNITS: Layout = _UnitsLayout()
CODES: Layout = _CodesLayout()
LAYOUTS: Sequence[Layout] = (UNITS, CODES)


def _check_below_k(record: Record) -> None:
    point, units = record.units.operating_point, record.units.units
    if point is not None and point.k is not None and len(units) and int(units.max()) >= point.k:
        raise ValueError(f"{record.id!r} has the unit {int(units.max())}, but k is {point.k}.")


def _point(metadata: Mapping[str, str]) -> OperatingPoint | None:
    text = metadata["operating_point"]
    return None if text == "null" else OperatingPoint.from_json(text)


def _sizes(metadata: Mapping[str, str]) -> list[int]:
    """Return the sizes of the codebooks. Raises ValueError unless they are equal, as `Codes` requires."""
    sizes = json.loads(metadata["codebook_sizes"])
    if not isinstance(sizes, list) or not sizes or any(type(size) is not int or size != sizes[0] for size in sizes):
        raise ValueError(must("codebook_sizes", "a list with the size of each codebook, all equal", sizes))
    return sizes


def _counts(pa: Any) -> Any:
    return pa.list_(pa.field("item", pa.int32(), nullable=False))


def _common(batch: Any) -> Iterator[tuple[Any, ...]]:
    """Id, samples, sample rate, speaker and chapter of each row."""
    names = ("id", "samples", "sample_rate", "speaker", "chapter")
    return zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _tensors(column: Any) -> list[torch.Tensor]:
    """A column of lists as int64 tensors."""
    values = torch.from_numpy(column.flatten().to_numpy().astype("int64"))
    return list(values.split(column.value_lengths().to_pylist()))
