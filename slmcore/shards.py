"""Parquet shards of the units or codes of a corpus: content, provenance, and an index of a folder.

A row is an utterance (`slmcore.shard_layouts`). The schema's metadata is the provenance of all rows of a shard: that of
the layout, and the writer's (digests, dtype, version). Neither time nor machine enters a file: equal records give equal
bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slmcore.errors import must
from slmcore.files import places
from slmcore.files.places import Place
from slmcore.shard_layouts import CODES, LAYOUTS, UNITS, AnyRecord, CodesRecord, Layout, Record

__all__ = [
    "INDEX",
    "AnyRecord",
    "CodesRecord",
    "Record",
    "provenance",
    "read",
    "read_codes",
    "read_index",
    "summary",
    "to_bytes",
    "write",
    "write_index",
]

INDEX = "index.json"
_SUFFIX = ".parquet"
_ROWS_AT_ONCE = 1024


def write(path: Place, records: Iterable[AnyRecord], provenance: Mapping[str, str]) -> None:
    """Write one shard atomically; `path` may be an fsspec URL. Arguments as for `to_bytes`."""
    try:
        content = to_bytes(records, provenance)
    except ValueError as error:
        raise ValueError(f"{path} was not written: {error}") from error
    places.write_bytes(path, content)


def to_bytes(records: Iterable[AnyRecord], provenance: Mapping[str, str]) -> bytes:
    """Return one shard as the bytes of a Parquet file.

    `provenance` is that of the records. Their `frame_rate`, and the `operating_point` of units or the `codebook_sizes`
    of codes, are added from the records; without records it must hold them (as text, as `provenance` returns them).
    Raises ValueError for records that differ in these, duplicate ids, and units that are not below k.
    """
    records = list(records)
    layout = _layout_of(records, provenance)
    metadata = _metadata(records, provenance, layout)
    _check_ids(records)
    pa, pq = _arrow()
    rows = [layout.values(record) for record in records]
    columns = {
        "id": [record.id for record in records],
        **{name: [row[name] for row in rows] for name in layout.columns(pa)},
        "samples": [record.samples for record in records],
        "sample_rate": [record.sample_rate for record in records],
        "speaker": [record.speaker for record in records],
        "chapter": [record.chapter for record in records],
    }
    table = pa.table(columns, schema=_schema(pa, layout).with_metadata(dict(sorted(metadata.items()))))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=_ROWS_AT_ONCE, write_page_checksum=True)
    return sink.getvalue()


def read(source: Place) -> Iterator[Record]:
    """Read the units of a shard, or of a folder of shards in the order of its `index.json`.

    Raises FileNotFoundError, or ValueError for a file that is damaged, not a shard of units, different from the index,
    or holds invalid units: not below k, or not as many as durations.
    """
    return _read(source, UNITS)


def read_codes(source: Place) -> Iterator[CodesRecord]:
    """Read the codes of a shard, or of a folder of shards. Raises as `read` does."""
    return _read(source, CODES)


def _read(source: Place, layout: Layout) -> Iterator[Any]:
    if _is_shard(source):
        yield from _read_shard(source, layout)
        return
    index = read_index(source)
    for row in index["shards"]:
        shard, found = places.join(source, row["file"]), 0
        if provenance(shard) != index["provenance"]:
            raise ValueError(f"{shard} was made otherwise than {INDEX} says. Do not mix shards; make the corpus anew.")
        for record in _read_shard(shard, layout):
            found += 1
            yield record
        if found != row["records"]:
            raise ValueError(f"{shard} holds {found} records, but {INDEX} says {row['records']}. Make the index anew.")


def provenance(source: Place) -> dict[str, str]:
    """Return the provenance of a shard, or of a folder with an index: the mapping that `write` takes."""
    if not _is_shard(source):
        return dict(read_index(source)["provenance"])
    return summary(source)[1]


def summary(shard: Place) -> tuple[int, dict[str, str]]:
    """Return the number of records of a shard, and its provenance, from the end of the file. Raises as `read` does."""
    with places.open_file(shard) as file:
        parquet = _opened(file, shard)
        return parquet.metadata.num_rows, _provenance(parquet, shard, _layout_in(parquet, shard))


def write_index(folder: Place, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `index.json` of all shards in `folder`, in the order of their names, and return its content.

    `format`; `provenance`; `shards`, each with file, sha256, records, units (of codes: frames) and seconds; and
    `records`, `units` or `frames`, and `seconds` of all; then the entries of `more`. Raises ValueError without shards,
    for shards of different provenance, and for duplicate ids.
    """
    files = [name for name in places.names(folder) if name.endswith(_SUFFIX) and not name.startswith(".")]
    if not files:
        raise ValueError(f"{folder} holds no shard (*{_SUFFIX}).")
    made = provenance(places.join(folder, files[0]))
    layout = _layout_of([], made)
    shard_of: dict[str, str] = {}
    rows = [_described(folder, name, made, shard_of) for name in files]
    totals = {name: sum(row[name] for row in rows) for name in ("records", layout.counted, "seconds")}
    index = {"format": layout.format, "provenance": made, "shards": rows, **totals, **(more or {})}
    places.write_bytes(places.join(folder, INDEX), (json.dumps(index, indent=1) + "\n").encode())
    return index


def read_index(folder: Place) -> dict[str, Any]:
    """Read the index of `write_index`. Raises FileNotFoundError without one, as before a corpus is complete."""
    path, formats = places.join(folder, INDEX), [layout.format for layout in LAYOUTS]
    if not places.exists(path):
        raise FileNotFoundError(f"{folder} has no {INDEX}: no units were written there, or not all of them yet.")
    try:
        index = json.loads(places.read_bytes(path))
        if index["format"] in formats and isinstance(index["provenance"], dict) and isinstance(index["shards"], list):
            return index
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ValueError(f"{path} is damaged or of another version than {formats[0]}. Make it anew.")


def _described(folder: Place, name: str, made: Mapping[str, str], shard_of: dict[str, str]) -> dict[str, Any]:
    """Return the index row of a shard, and add its ids to those of earlier shards."""
    place = places.join(folder, name)
    if provenance(place) != made:
        raise ValueError(f"{place} was made otherwise than the shards before it. Keep each making in its own folder.")
    layout = _layout_of([], made)
    found = list(_read_shard(place, layout))
    for record in found:
        if record.id in shard_of:
            raise ValueError(f"{place} has the id {record.id!r}, as {shard_of[record.id]} has. Make one of them anew.")
        shard_of[record.id] = name
    return {
        "file": name,
        "sha256": hashlib.sha256(places.read_bytes(place)).hexdigest(),
        "records": len(found),
        layout.counted: sum(map(layout.count, found)),
        "seconds": round(sum(record.samples / record.sample_rate for record in found), 3),
    }


def _read_shard(path: Place, layout: Layout) -> Iterator[Any]:
    with places.open_file(path) as file:
        parquet = _opened(file, path, layout)
        made = _provenance(parquet, path, layout)
        try:
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                yield from layout.records(batch, made)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def _layout_of(records: list[AnyRecord], provenance: Mapping[str, str]) -> Layout:
    """Return the layout of records; without any, the one that the provenance implies."""
    coded = isinstance(records[0], CodesRecord) if records else CODES.known[1] in provenance
    layout = CODES if coded else UNITS
    if any(isinstance(record, CodesRecord) != coded for record in records):
        raise ValueError(must("records", "all of units or all of codes", "a mixture"))
    return layout


def _metadata(records: list[AnyRecord], provenance: Mapping[str, str], layout: Layout) -> dict[str, str]:
    metadata = dict(provenance)
    for name, value in metadata.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise ValueError(must("provenance", "a mapping of texts to texts", {name: value}))
    found = {tuple(layout.facts(record).items()) for record in records}
    if len(found) > 1:
        raise ValueError(must("records", layout.alike, sorted(map(str, found))))
    for facts in found:
        for name, value in facts:
            if metadata.setdefault(name, value) != value:
                raise ValueError(must(f"provenance[{name!r}]", f"that of the records, {value}", metadata[name]))
    for name in layout.known:
        if name not in metadata:
            raise ValueError(must("provenance", f"a mapping with {name!r} where there is no record", dict(metadata)))
    return metadata


def _check_ids(records: list[AnyRecord]) -> None:
    seen: set[str] = set()
    for record in records:
        if not record.id or record.id in seen:
            raise ValueError(must("id", "a name that comes once in a shard", record.id))
        if record.samples < 0 or record.sample_rate < 1:
            shown = (record.samples, record.sample_rate)
            raise ValueError(must("samples and sample_rate", ">= 0 and >= 1", shown, f"It is {record.id!r}."))
        seen.add(record.id)


def _is_shard(source: Place) -> bool:
    return str(source).endswith(_SUFFIX)


def _opened(file: Any, path: Place, layout: Layout | None = None) -> Any:
    """Open a shard, of `layout` if given. Raises ValueError for any other file."""
    _, pq = _arrow()
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no Parquet file: {error}") from error
    found = _layout_in(parquet, path)
    if layout is not None and layout is not found:
        raise ValueError(f"{path} is a shard of {found.holds}, but one of {layout.holds} is needed here.")
    return parquet


def _layout_in(parquet: Any, path: Place) -> Layout:
    pa, _ = _arrow()
    for layout in LAYOUTS:
        if parquet.schema_arrow.remove_metadata().equals(_schema(pa, layout)):
            return layout
    raise ValueError(f"{path} has other columns than a shard of units: {', '.join(parquet.schema_arrow.names)}.")


def _provenance(parquet: Any, path: Place, layout: Layout) -> dict[str, str]:
    found = {key.decode(): value.decode() for key, value in (parquet.schema_arrow.metadata or {}).items()}
    if not set(layout.known) <= found.keys():
        raise ValueError(f"{path} does not say how its {layout.holds} were made ({', '.join(layout.known)}).")
    return found


def _schema(pa: Any, layout: Layout) -> Any:
    needed = {"id": pa.string(), **layout.columns(pa), "samples": pa.int64(), "sample_rate": pa.int32()}
    fields = [pa.field(name, kind, nullable=False) for name, kind in needed.items()]
    return pa.schema([*fields, pa.field("speaker", pa.string()), pa.field("chapter", pa.string())])


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Shards of units need pyarrow: pip install 'slmzoo[corpus]'.") from error
    return pyarrow, pyarrow.parquet
