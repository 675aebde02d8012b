"""Units of a corpus in Parquet shards: what they hold, how they were made, and an index of a folder of them.

A row is an utterance: id, units, durations (frames), samples and sample_rate (of the audio they were made from),
speaker and chapter where known. The schema's metadata says how all rows of a shard were made: `frame_rate`,
`operating_point` (JSON) and whatever else the maker told (digests, dtype, version). Neither time nor machine enters a
file: equal records give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from slmcore.errors import must
from slmcore.files import places
from slmcore.files.places import Place
from slmcore.units import OperatingPoint, Units

__all__ = ["INDEX", "Record", "provenance", "read", "read_index", "summary", "to_bytes", "write", "write_index"]

INDEX = "index.json"
_FORMAT = "slmzoo-units/1"
_SUFFIX = ".parquet"
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Record:
    """The units of one utterance, and what is known of it."""

    id: str
    """Name of the utterance, unique in its corpus."""
    units: Units
    samples: int
    """Length of the audio, at `sample_rate`."""
    sample_rate: int
    """Hz, of the audio as it was found."""
    speaker: str | None = None
    chapter: str | None = None
    """What the utterance was cut from: a chapter, a talk, a file."""


def write(path: Place, records: Iterable[Record], provenance: Mapping[str, str]) -> None:
    """Write one shard, which appears whole or not at all; `path` may be an fsspec URL. Arguments as of `to_bytes`."""
    try:
        content = to_bytes(records, provenance)
    except ValueError as error:
        raise ValueError(f"{path} was not written: {error}") from error
    places.write_bytes(path, content)


def to_bytes(records: Iterable[Record], provenance: Mapping[str, str]) -> bytes:
    """One shard as the bytes of a Parquet file.

    `provenance` says how the records were made. Their `frame_rate` and `operating_point` are added from their units,
    or must be in it (as text, as `provenance` returns them) where there is no record. Raises ValueError for records
    that differ in these two, an id that comes twice, and units that are not below k.
    """
    records = list(records)
    metadata = _metadata(records, provenance)
    _check_ids(records)
    point = json.loads(metadata["operating_point"]) or {}
    for record in records:
        _check_units(record.units, point.get("k"), record.id)
    pa, pq = _arrow()
    columns = {
        "id": [record.id for record in records],
        "units": [record.units.units.cpu().numpy() for record in records],
        "durations": [record.units.durations.cpu().numpy() for record in records],
        "samples": [record.samples for record in records],
        "sample_rate": [record.sample_rate for record in records],
        "speaker": [record.speaker for record in records],
        "chapter": [record.chapter for record in records],
    }
    table = pa.table(columns, schema=_schema(pa).with_metadata(dict(sorted(metadata.items()))))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=_ROWS_AT_ONCE, write_page_checksum=True)
    return sink.getvalue()


def read(source: Place) -> Iterator[Record]:
    """The records of a shard, or of a folder of shards in the order of its `index.json`.

    Raises FileNotFoundError, or ValueError for a file that is damaged, is no shard, differs from the index, or holds
    units that cannot be: durations of another number than the units, units not below k.
    """
    if _is_shard(source):
        yield from _read_shard(source)
        return
    index = read_index(source)
    for row in index["shards"]:
        shard, found = places.join(source, row["file"]), 0
        if provenance(shard) != index["provenance"]:
            raise ValueError(f"{shard} was made otherwise than {INDEX} says. Do not mix shards; make the corpus anew.")
        for record in _read_shard(shard):
            found += 1
            yield record
        if found != row["records"]:
            raise ValueError(f"{shard} holds {found} records, but {INDEX} says {row['records']}. Make the index anew.")


def provenance(source: Place) -> dict[str, str]:
    """How the records of a shard, or of a folder with an index, were made: the mapping that `write` takes."""
    if not _is_shard(source):
        return dict(read_index(source)["provenance"])
    return summary(source)[1]


def summary(shard: Place) -> tuple[int, dict[str, str]]:
    """Number of records of a shard, and its provenance; only the end of the file is read. Raises as `read` does."""
    with places.open_file(shard) as file:
        parquet = _opened(file, shard)
        return parquet.metadata.num_rows, _provenance(parquet, shard)


def write_index(folder: Place, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `index.json` over all shards in `folder`, in the order of their names, and return what it holds.

    `format`; `provenance`; `shards`, each with file, sha256, records, units and seconds; and `records`, `units` and
    `seconds` of all; then what `more` holds. Raises ValueError if there is no shard, if not all were made alike, or if
    an id comes twice.
    """
    files = [name for name in places.names(folder) if name.endswith(_SUFFIX) and not name.startswith(".")]
    if not files:
        raise ValueError(f"{folder} holds no shard (*{_SUFFIX}).")
    made = provenance(places.join(folder, files[0]))
    shard_of: dict[str, str] = {}
    rows = [_described(folder, name, made, shard_of) for name in files]
    totals = {name: sum(row[name] for row in rows) for name in ("records", "units", "seconds")}
    index = {"format": _FORMAT, "provenance": made, "shards": rows, **totals, **(more or {})}
    places.write_bytes(places.join(folder, INDEX), (json.dumps(index, indent=1) + "\n").encode())
    return index


def read_index(folder: Place) -> dict[str, Any]:
    """What `write_index` wrote. FileNotFoundError where there is none, as while a corpus is still being made."""
    path = places.join(folder, INDEX)
    if not places.exists(path):
        raise FileNotFoundError(f"{folder} has no {INDEX}: no units were written there, or not all of them yet.")
    try:
        index = json.loads(places.read_bytes(path))
        if index["format"] == _FORMAT and isinstance(index["provenance"], dict) and isinstance(index["shards"], list):
            return index
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError(f"{path} is damaged or of another version than {_FORMAT}. Make it anew.")


def _described(folder: Place, name: str, made: Mapping[str, str], shard_of: dict[str, str]) -> dict[str, Any]:
    """The row of a shard in the index; its ids are added to those of the shards before it."""
    place = places.join(folder, name)
    if provenance(place) != made:
        raise ValueError(f"{place} was made otherwise than the shards before it. Keep each making in its own folder.")
    found = list(_read_shard(place))
    for record in found:
        if record.id in shard_of:
            raise ValueError(f"{place} has the id {record.id!r}, as {shard_of[record.id]} has. Make one of them anew.")
        shard_of[record.id] = name
    return {
        "file": name,
        "sha256": hashlib.sha256(places.read_bytes(place)).hexdigest(),
        "records": len(found),
        "units": sum(len(record.units) for record in found),
        "seconds": round(sum(record.samples / record.sample_rate for record in found), 3),
    }


def _read_shard(path: Place) -> Iterator[Record]:
    with places.open_file(path) as file:
        parquet = _opened(file, path)
        made = _provenance(parquet, path)
        try:
            point = made["operating_point"]
            point, rate = None if point == "null" else OperatingPoint.from_json(point), float(made["frame_rate"])
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                yield from _records(batch, rate, point)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def _records(batch: Any, frame_rate: float, point: OperatingPoint | None) -> Iterator[Record]:
    names, samples, rates, speakers, chapters = (
        batch.column(name).to_pylist() for name in ("id", "samples", "sample_rate", "speaker", "chapter")
    )
    lists = zip(_tensors(batch.column("units")), _tensors(batch.column("durations")), strict=True)
    for i, (units, durations) in enumerate(lists):
        if units.shape != durations.shape:
            raise ValueError(f"{names[i]!r} has {len(units)} units, but {len(durations)} durations.")
        found = Units(units, durations, frame_rate, point)
        _check_units(found, point.k if point else None, names[i])
        yield Record(names[i], found, samples[i], rates[i], speakers[i], chapters[i])


def _tensors(column: Any) -> list[torch.Tensor]:
    """A column of lists as int64 tensors."""
    values = torch.from_numpy(column.flatten().to_numpy().astype("int64"))
    return list(values.split(column.value_lengths().to_pylist()))


def _metadata(records: list[Record], provenance: Mapping[str, str]) -> dict[str, str]:
    metadata = dict(provenance)
    for name, value in metadata.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise ValueError(must("provenance", "a mapping of texts to texts", {name: value}))
    found = {(r.units.frame_rate, r.units.operating_point) for r in records}
    if len(found) > 1:
        raise ValueError(must("records", "of one frame rate and operating point", sorted(map(str, found))))
    for rate, point in found:
        known = {"frame_rate": repr(float(rate)), "operating_point": point.to_json() if point else "null"}
        for name, value in known.items():
            if metadata.setdefault(name, value) != value:
                raise ValueError(must(f"provenance[{name!r}]", f"that of the records, {value}", metadata[name]))
    for name in ("frame_rate", "operating_point"):
        if name not in metadata:
            raise ValueError(must("provenance", f"a mapping with {name!r} where there is no record", dict(metadata)))
    return metadata


def _check_ids(records: list[Record]) -> None:
    seen: set[str] = set()
    for record in records:
        if not record.id or record.id in seen:
            raise ValueError(must("id", "a name that comes once in a shard", record.id))
        if record.samples < 0 or record.sample_rate < 1:
            shown = (record.samples, record.sample_rate)
            raise ValueError(must("samples and sample_rate", ">= 0 and >= 1", shown, f"It is {record.id!r}."))
        seen.add(record.id)


def _check_units(units: Units, k: int | None, name: str) -> None:
    if k is not None and len(units) and int(units.units.max()) >= k:
        raise ValueError(f"{name!r} has the unit {int(units.units.max())}, but k is {k}.")


def _is_shard(source: Place) -> bool:
    return str(source).endswith(_SUFFIX)


def _opened(file: Any, path: Place) -> Any:
    pa, pq = _arrow()
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no Parquet file: {error}") from error
    if not parquet.schema_arrow.remove_metadata().equals(_schema(pa)):
        raise ValueError(f"{path} has other columns than a shard of units: {', '.join(parquet.schema_arrow.names)}.")
    return parquet


def _provenance(parquet: Any, path: Place) -> dict[str, str]:
    found = {key.decode(): value.decode() for key, value in (parquet.schema_arrow.metadata or {}).items()}
    if not {"frame_rate", "operating_point"} <= found.keys():
        raise ValueError(f"{path} does not say how its units were made (frame_rate, operating_point).")
    return found


def _schema(pa: Any) -> Any:
    counts = pa.list_(pa.field("item", pa.int32(), nullable=False))
    needed = {"id": pa.string(), "units": counts, "durations": counts, "samples": pa.int64(), "sample_rate": pa.int32()}
    fields = [pa.field(name, kind, nullable=False) for name, kind in needed.items()]
    return pa.schema([*fields, pa.field("speaker", pa.string()), pa.field("chapter", pa.string())])


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Shards of units need pyarrow: pip install 'slmzoo[corpus]'.") from error
    return pyarrow, pyarrow.parquet
