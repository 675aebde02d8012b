from __future__ import annotations

import contextlib
import io
import json
import uuid
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore import shards
from slmcore.shards import CodesRecord, Record
from slmcore.units import Codes, OperatingPoint, Units

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

POINT = OperatingPoint(zoo="demo", encoder="wavlm_demo", layer=3, k=100, lmbda=1910.0, num_neighbors=20)
MADE = {"codebook_sha256": "ab" * 32, "dtype": "float32"}


def record(name="a", framewise=(1, 1, 2), speaker=None, chapter=None, point=POINT, rate=50.0):
    units = Units.from_framewise(torch.tensor(framewise, dtype=torch.int64), rate, point)
    return Record(name, units, 320 * len(framewise), 16000, speaker, chapter)


def plain(found: Record) -> tuple:
    units = found.units
    lists = (units.units.tolist(), units.durations.tolist())
    rest = (found.samples, found.sample_rate, found.speaker, found.chapter, units.frame_rate, units.operating_point)
    return (found.id, *lists, *rest)


texts = st.none() | st.text(min_size=1, max_size=5)
rows = st.tuples(st.text(min_size=1, max_size=8), st.lists(st.integers(0, 99), max_size=40), texts, texts)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, max_size=12, unique_by=lambda row: row[0]))
def test_records_survive_a_shard(values):
    records = [record(*value) for value in values]
    made = {**MADE, "frame_rate": "50.0", "operating_point": POINT.to_json()}
    content = shards.to_bytes(records, made)
    assert content == shards.to_bytes(iter(records), dict(reversed(made.items())))
    place = f"memory://{uuid.uuid4().hex}.parquet"
    shards.write(place, records, made)
    assert [plain(found) for found in shards.read(place)] == [plain(wanted) for wanted in records]
    assert shards.provenance(place) == made


def test_more_rows_than_are_read_at_once(tmp_path):
    records = [record(str(i), [i % 100] * (i % 7)) for i in range(2500)]
    shards.write(tmp_path / "a.parquet", records, MADE)
    assert [plain(r) for r in shards.read(tmp_path / "a.parquet")] == [plain(r) for r in records]


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_a_folder_is_read_in_the_order_of_its_index(tmp_path, kind):
    folder = tmp_path if kind == "disk" else f"memory://{uuid.uuid4().hex}"
    for name in ("b", "a", "c"):
        shards.write(shards.places.join(folder, f"{name}.parquet"), [record(f"{name}{i}") for i in range(2)], MADE)
    index = shards.write_index(folder)
    assert [found.id for found in shards.read(folder)] == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert (index["records"], index["units"], index["seconds"]) == (6, 12, pytest.approx(0.36))
    assert shards.provenance(folder) == {**MADE, "frame_rate": "50.0", "operating_point": POINT.to_json()}
    assert index == shards.read_index(folder)


def test_the_file_says_what_it_is_to_any_reader_of_parquet(tmp_path):
    shards.write(tmp_path / "a.parquet", [record(speaker="s")], MADE)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == [
        {"id": "a", "units": [1, 2], "durations": [2, 1], "samples": 960, "sample_rate": 16000}
        | {"speaker": "s", "chapter": None}
    ]
    assert json.loads(table.schema.metadata[b"operating_point"])["lmbda"] == 1910.0
    assert list(table.schema.metadata) == sorted(table.schema.metadata)


@pytest.mark.parametrize(
    ("records", "made", "message"),
    [
        ([record("a"), record("a")], {}, "comes once"),
        ([record("")], {}, "comes once"),
        ([record("a"), record("b", rate=25.0)], {}, "one frame rate"),
        ([record("a"), record("b", point=None)], {}, "one frame rate and operating point"),
        ([record("a", [3, 100])], {}, "'a' has the unit 100, but k is 100"),
        ([record("a")], {"frame_rate": "25.0"}, "that of the records"),
        ([record("a")], {"k": 5}, "texts to texts"),
        ([Record("a", record().units, 5, 0)], {}, "samples and sample_rate"),
        ([], MADE, "where there is no record"),
    ],
)
def test_what_is_not_written(tmp_path, records, made, message):
    with pytest.raises(ValueError, match=message):
        shards.write(tmp_path / "a.parquet", records, made)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_is_not_written_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"b\.parquet was not written: `id` must be .* once .*'a'"):
        shards.write(tmp_path / "b.parquet", [record("a"), record("c"), record("a")], MADE)


def test_an_id_comes_once_in_all_shards_of_a_folder(tmp_path):
    for name, ids in (("0", "ab"), ("1", "cd"), ("2", "eb")):
        shards.write(tmp_path / f"{name}.parquet", [record(i) for i in ids], MADE)
    with pytest.raises(ValueError, match=r"2\.parquet has the id 'b', as 0\.parquet has"):
        shards.write_index(tmp_path)
    assert not (tmp_path / shards.INDEX).exists()
    (tmp_path / "2.parquet").unlink()
    assert shards.write_index(tmp_path)["records"] == 4


def tampered(place: Path, column: str, values: list) -> None:
    """Replace a column, as something else that writes Parquet might."""
    table = pq.read_table(place)
    at = table.schema.get_field_index(column)
    field = table.schema.field(at)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), place)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("durations", [[2]], "'a' has 2 units, but 1 durations"),
        ("durations", [[2, 0]], "`durations` >= 1"),
        ("units", [[1, 100]], "has the unit 100, but k is 100"),
        ("units", [[1, -1]], "`units` must be >= 0"),
    ],
)
def test_what_cannot_be_is_not_read(tmp_path, column, values, message):
    place = tmp_path / "a.parquet"
    shards.write(place, [record()], MADE)
    tampered(place, column, values)
    with pytest.raises(ValueError, match=message) as error:
        list(shards.read(place))
    assert str(place) in str(error.value)


def test_every_flipped_byte_of_the_data_is_noticed(tmp_path):
    place = tmp_path / "a.parquet"
    content = shards.to_bytes([record(framewise=list(range(100)))], MADE)
    data = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(1)
    start, silent = data.dictionary_page_offset or data.data_page_offset, 0
    for offset in range(start + 20, start + data.total_compressed_size, 7):
        place.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        with contextlib.suppress(ValueError):
            silent += [plain(found) for found in shards.read(place)] != [plain(record(framewise=list(range(100))))]
    assert silent == 0


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all, but long enough to look at"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    for use in (
        shards.provenance,
        lambda place: list(shards.read(place)),
        lambda place: shards.write_index(place.parent),
    ):
        with pytest.raises(ValueError, match=r"a\.parquet is damaged or no Parquet file"):
            use(tmp_path / "a.parquet")


def test_other_parquet_files_are_refused(tmp_path):
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="other columns than a shard of units: id"):
        list(shards.read(tmp_path / "a.parquet"))
    shards.write(tmp_path / "b.parquet", [record()], MADE)
    pq.write_table(pq.read_table(tmp_path / "b.parquet").replace_schema_metadata({}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="does not say how its units were made"):
        list(shards.read(tmp_path / "b.parquet"))


def test_shards_of_other_settings_do_not_mix(tmp_path):
    shards.write(tmp_path / "a.parquet", [record("a")], MADE)
    shards.write(tmp_path / "b.parquet", [record("b")], MADE)
    shards.write_index(tmp_path)
    shards.write(tmp_path / "b.parquet", [record("b")], {**MADE, "dtype": "bfloat16"})
    with pytest.raises(ValueError, match=r"b\.parquet was made otherwise than index\.json says"):
        list(shards.read(tmp_path))
    with pytest.raises(ValueError, match="made otherwise than the shards before it"):
        shards.write_index(tmp_path)


def test_a_folder_and_its_index_must_agree(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no index\.json"):
        list(shards.read(tmp_path))
    with pytest.raises(ValueError, match="holds no shard"):
        shards.write_index(tmp_path)
    shards.write(tmp_path / "a.parquet", [record("a")], MADE)
    shards.write_index(tmp_path)
    shards.write(tmp_path / "a.parquet", [record("a"), record("b")], MADE)
    with pytest.raises(ValueError, match=r"holds 2 records, but index\.json says 1"):
        list(shards.read(tmp_path))
    (tmp_path / shards.INDEX).write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="damaged or of another version"):
        list(shards.read(tmp_path))


def coded(name="a", codes=((1, 2, 3), (7, 0, 7)), rate=12.5, size=8) -> CodesRecord:
    return CodesRecord(name, Codes(torch.tensor(codes), rate, size), 5760, 24000, None, "talk")


def plain_codes(found: CodesRecord) -> tuple:
    codes = found.codes
    about = (codes.frame_rate, codes.codebook_size, found.samples, found.sample_rate, found.speaker, found.chapter)
    return (found.id, codes.codes.tolist(), *about)


def _rectangles(levels: int) -> st.SearchStrategy:
    """Utterances of so many levels, each of 0 to 9 frames."""
    frames = st.tuples(*[st.integers(0, 7)] * levels)
    return st.lists(st.lists(frames, max_size=9).map(lambda found: (levels, found)), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3).flatmap(_rectangles))
def test_codes_survive_a_shard(values):
    shaped = [torch.tensor(frames, dtype=torch.int64).reshape(-1, levels).T for levels, frames in values]
    records = [CodesRecord(str(i), Codes(codes, 50.0, 8), 7, 16000) for i, codes in enumerate(shaped)]
    place = f"memory://{uuid.uuid4().hex}.parquet"
    shards.write(place, records, {"dtype": "float32"})
    assert [plain_codes(r) for r in shards.read_codes(place)] == [plain_codes(r) for r in records]
    sizes = json.dumps([8] * values[0][0])
    assert shards.provenance(place) == {"dtype": "float32", "frame_rate": "50.0", "codebook_sizes": sizes}


def test_codes_in_any_reader_of_parquet_and_in_an_index(tmp_path):
    shards.write(tmp_path / "a.parquet", [coded("a"), coded("b", ((5,), (6,)))], MADE)
    shards.write(tmp_path / "b.parquet", [], {**MADE, "frame_rate": "12.5", "codebook_sizes": "[8, 8]"})
    first = pq.read_table(tmp_path / "a.parquet").to_pylist()[0]
    assert first == {"id": "a", "codes": [[1, 2, 3], [7, 0, 7]], "samples": 5760, "sample_rate": 24000} | {
        "speaker": None,
        "chapter": "talk",
    }
    index = shards.write_index(tmp_path)
    assert (index["format"], index["records"], index["frames"]) == ("slmzoo-codes/1", 2, 4)
    assert [record.id for record in shards.read_codes(tmp_path)] == ["a", "b"]


def test_units_are_not_taken_for_codes(tmp_path):
    shards.write(tmp_path / "codes.parquet", [coded()], MADE)
    shards.write(tmp_path / "units.parquet", [record()], MADE)
    with pytest.raises(ValueError, match=r"codes\.parquet is a shard of codes, but one of units is needed"):
        list(shards.read(tmp_path / "codes.parquet"))
    with pytest.raises(ValueError, match=r"units\.parquet is a shard of units, but one of codes is needed"):
        list(shards.read_codes(tmp_path / "units.parquet"))
    with pytest.raises(ValueError, match="made otherwise"):
        shards.write_index(tmp_path)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([coded("a"), coded("b", rate=25.0)], "one frame rate, number of codebooks"),
        ([coded("a"), coded("b", ((1,),))], "one frame rate, number of codebooks"),
        ([coded("a"), coded("b", size=9)], "size of these"),
        ([coded("a"), record("b")], "all of units or all of codes"),
        ([record("a"), coded("b")], "all of units or all of codes"),
        ([coded("a"), coded("a")], "comes once"),
    ],
)
def test_codes_that_are_not_written(tmp_path, records, message):
    with pytest.raises(ValueError, match=message):
        shards.write(tmp_path / "a.parquet", records, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[[1, 2], [3]]], r"'a' has codes of \[2, 1\] frames"),
        ([[[1], [2], [3]]], "there are 2 codebooks"),
        ([[[1], [8]]], "`codes` must be from 0 to 7"),
    ],
)
def test_codes_that_cannot_be_are_not_read(tmp_path, values, message):
    place = tmp_path / "a.parquet"
    shards.write(place, [coded()], MADE)
    tampered(place, "codes", values)
    with pytest.raises(ValueError, match=message):
        list(shards.read_codes(place))


@pytest.mark.parametrize("sizes", ["[8, 9]", "[]", "8", '["8", "8"]'])
def test_codebooks_of_other_sizes_are_not_read(tmp_path, sizes):
    shards.write(tmp_path / "a.parquet", [coded()], MADE)
    table = pq.read_table(tmp_path / "a.parquet")
    metadata = {**table.schema.metadata, b"codebook_sizes": sizes.encode()}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="codebook_sizes"):
        list(shards.read_codes(tmp_path / "a.parquet"))
