from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore import shards
from slmcore.shards import Record
from slmcore.units import OperatingPoint, Units
from slmzoo.cli import main
from slmzoo.corpus.formats import FORMATS, convert
from slmzoo.training.data.unit_files import UnitSource
from tests.reference.named_units import names_in

utterances = st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=30), min_size=1, max_size=5)


def written(folder, framewise, names=None, point=None):
    """Shards of the given units, one a frame."""
    names = names or [f"84/{i}/84-{i}-0001" for i in range(len(framewise))]
    units = [Units.from_framewise(torch.tensor(x, dtype=torch.int64), 50.0, point) for x in framewise]
    rows = [Record(n, u, round(u.seconds * 16000), 16000, chapter=n.rpartition("/")[0] or None)
            for n, u in zip(names, units, strict=True)]  # fmt: skip
    folder.mkdir()
    made = {"frame_rate": "50.0", "operating_point": point.to_json() if point else "null"}
    shards.write(folder / "shard-000000.parquet", rows, made)
    shards.write_index(folder)
    return folder


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10, deadline=None)
@given(framewise=utterances)
def test_units_and_durations_survive(tmp_path_factory, rows, name, framewise):
    folder = tmp_path_factory.mktemp("formats")
    source = written(folder / "shards", framewise)
    number = convert(source, folder / "other", read_as="shards", write_as=name)
    assert number == convert(folder / "other", folder / "back", read_as=name, write_as="shards") == len(framewise)
    assert rows(folder / "back") == rows(source)
    assert shards.provenance(folder / "back")["converted_from"] == name


def test_what_the_files_hold(tmp_path):
    source = written(tmp_path / "shards", [[7, 7, 7, 1]], ["a"])
    for name in FORMATS:
        convert(source, tmp_path / name, read_as="shards", write_as=name)
    assert np.load(tmp_path / "npy" / "a.npy").tolist() == [7, 7, 7, 1]
    assert (tmp_path / "ellav" / "a.txt").read_text() == "u7 u7 u7 u1\n"
    assert json.loads((tmp_path / "slamkit").read_text()) == {"units": [7, 1], "duration": [3, 1], "file_name": "a"}
    assert (tmp_path / "textlesslib").read_text() == "a\t7 7 7 1\n"
    assert torch.load(tmp_path / "zerosyl" / "a.pt", weights_only=True).tolist() == [[0, 3, 7], [3, 4, 1]]
    assert torch.load(tmp_path / "speechtokenizer" / "a.pt", weights_only=True).tolist() == [[[7, 7, 7, 1]]]


def test_npy_files_lie_in_the_folder_of_their_chapter(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    units = Units.from_framewise(torch.tensor([1, 2]), 50.0)
    names = [("x", "c", "s"), ("c/y", "c", None), ("z", None, None), ("a/w", "c", None), ("v", None, "s")]
    records = [Record(n, units, 640, 16000, speaker, chapter) for n, chapter, speaker in names]
    shards.write(folder / "a.parquet", records, {})
    shards.write_index(folder)
    convert(folder, tmp_path / "npy", read_as="shards", write_as="npy")
    found = sorted(str(p.relative_to(tmp_path / "npy")) for p in (tmp_path / "npy").rglob("*.npy"))
    assert found == ["c/a%2Fw.npy", "c/x.npy", "c/y.npy", "s/v.npy", "z.npy"]
    assert groups(tmp_path / "npy") == groups(folder) == [1, 1, 3]


def groups(source) -> list[int]:
    """Sizes of the groups that training makes of units."""
    return sorted(Counter(spoken.chapter for spoken in UnitSource(source).read(1000)).values())


def test_training_never_runs_over_two_books(tmp_path):
    source = written(tmp_path / "shards", [[1], [2], [3]], ["bookA/01/x", "bookB/01/x", "bookB/01/y"])
    convert(source, tmp_path / "npy", read_as="shards", write_as="npy")
    found, expected = ([s.chapter for s in UnitSource(place).read(9)] for place in (tmp_path / "npy", source))
    assert found == expected == ["bookA/01", "bookB/01", "bookB/01"]


def test_codes_of_several_codebooks_give_the_first(tmp_path, rows):
    (tmp_path / "in").mkdir()
    torch.save(torch.tensor([[[5, 5, 6]], [[1, 2, 3]]]), tmp_path / "in" / "a.pt")
    convert(tmp_path / "in", tmp_path / "out", read_as="speechtokenizer", write_as="shards", frame_rate=25.0)
    assert rows(tmp_path / "out")[0][1:4] == ([5, 6], [2, 1], 1920)
    assert next(shards.read(tmp_path / "out")).units.frame_rate == 25.0


def test_shards_keep_their_provenance(tmp_path, rows):
    point = OperatingPoint(zoo="demo", k=1000, lmbda=3.0)
    source = written(tmp_path / "shards", [[7, 7, 7, 1]], point=point)
    convert(source, tmp_path / "copy", read_as="shards", write_as="shards")
    assert shards.provenance(tmp_path / "copy") == shards.provenance(source)
    assert rows(tmp_path / "copy") == rows(source)
    with pytest.raises(ValueError, match="holds shards already"):
        convert(source, tmp_path / "copy", read_as="shards", write_as="shards")


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("npy", "a.npy", b"no array"),
        ("ellav", "a.txt", b"u1 x2"),
        ("zerosyl", "a.pt", b"x"),
        ("speechtokenizer", "a.pt", b""),
        ("slamkit", "", b'{"units": [1, 2], "duration": [1], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": [1, 2], "duration": [1, 1]}\n'),
        ("slamkit", "", b"{\n"),
        ("slamkit", "", b'{"units": [1.7, 2.2], "duration": [1, 2], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": [1, 2], "duration": [1, 2.9], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": [1, 2.0], "duration": [1, 2], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": [1, true], "duration": [1, 2], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": 1, "duration": [1], "file_name": "a"}\n'),
        ("slamkit", "", b'{"units": [1], "duration": [1], "file_name": 7}\n'),
        ("slamkit", "", b'{"units": [1], "duration": [1], "file_name": ""}\n'),
        ("textlesslib", "", b"a 1 2\n"),
        ("textlesslib", "", b"a\t1 2.0\n"),
        ("textlesslib", "", b"a\t1_0\n"),
        ("textlesslib", "", "a\t\N{ARABIC-INDIC DIGIT TWO}\n".encode()),
        ("textlesslib", "", b"\t1 2\n"),
        ("ellav", "a.txt", b"u1 u+2"),
        ("textlesslib", "", b"a\t1 2 x\n"),
        ("textlesslib", "", b"a\t1 -2\n"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, file, content):
    source = tmp_path / "in" / file if file else tmp_path / "in"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(content)
    with pytest.raises(ValueError, match=str(source)):
        convert(tmp_path / "in", tmp_path / "out", read_as=name, write_as="shards")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        (torch.zeros(3, 3), "zerosyl"),
        (torch.tensor([[0, 2, 1], [3, 4, 5]]), "zerosyl"),
        (torch.tensor([[1, 2, 1]]), "zerosyl"),
        (torch.zeros(1, 2, 3, dtype=torch.int64), "speechtokenizer"),
        (torch.zeros(1, 1, 3), "speechtokenizer"),
        (torch.zeros(1, 1, 3, dtype=torch.bool), "speechtokenizer"),
        (torch.zeros(1, 1, 3, dtype=torch.complex64), "speechtokenizer"),
        (torch.zeros(3, 3, dtype=torch.bool), "zerosyl"),
    ],
)
def test_other_tensors_are_refused(tmp_path, tensor, name):
    (tmp_path / "in").mkdir()
    torch.save(tensor, tmp_path / "in" / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is not what it must be"):
        convert(tmp_path / "in", tmp_path / "out", read_as=name, write_as="shards")


@pytest.mark.parametrize("name", ["../a", "/a", ".."])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    source = written(tmp_path / "shards", [[1]], [name])
    with pytest.raises(ValueError, match="a relative path"):
        convert(source, tmp_path / "npy", read_as="shards", write_as="npy")


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="`read_as` must be one of shards, npy"):
        convert(tmp_path, tmp_path, read_as="csv", write_as="npy")
    with pytest.raises(ValueError, match="`frame_rate` must be"):
        convert(tmp_path, tmp_path, read_as="npy", write_as="npy", frame_rate=0.0)
    with pytest.raises(FileNotFoundError, match=r"holds no \.npy file"):
        convert(tmp_path, tmp_path / "out", read_as="npy", write_as="ellav")


def test_the_command(tmp_path, capsys):
    source = written(tmp_path / "shards", [[7, 7, 7, 1]], ["a"])
    assert main(["convert-units", str(source), str(tmp_path / "units.jsonl"), "--write-as", "slamkit"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 1
    assert main(["convert-units", str(tmp_path / "gone"), str(tmp_path / "x"), "--read-as", "slamkit"]) == 1
    assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "write_as"), [("npy", "npy"), ("zerosyl", "zerosyl"), ("shards", "shards")])
def test_a_folder_that_holds_such_units_is_refused_and_stays_as_it_is(tmp_path, name, write_as):
    first = written(tmp_path / "first", [[1], [2]], ["a", "b"])
    convert(first, tmp_path / "out", read_as="shards", write_as=write_as)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*")}
    second = written(tmp_path / "second", [[3]], ["c"])
    with pytest.raises(ValueError, match=r"already\. Use another folder"):
        convert(second, tmp_path / "out", read_as="shards", write_as=write_as)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*")} == before


def test_linked_folders_are_entered(tmp_path):
    source = written(tmp_path / "shards", [[1], [2]], ["s/a", "t/b"])
    convert(source, tmp_path / "npy", read_as="shards", write_as="npy")
    (tmp_path / "npy" / "t").rename(tmp_path / "elsewhere")
    (tmp_path / "npy" / "t").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert convert(tmp_path / "npy", tmp_path / "back", read_as="npy", write_as="shards") == 2
    assert [spoken.name for spoken in UnitSource(tmp_path / "npy").read(9)] == ["s/a", "t/b"]


def test_folders_may_hold_other_things_and_several_formats(tmp_path):
    source = written(tmp_path / "shards", [[1], [2]], ["s/a", "s/b"])
    (tmp_path / "out" / "s").mkdir(parents=True)
    (tmp_path / "out" / "s" / "notes.md").write_text("mine")
    for name in ("npy", "ellav"):
        convert(source, tmp_path / "out", read_as="shards", write_as=name)
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*"))
    assert found == ["s", "s/a.npy", "s/a.txt", "s/b.npy", "s/b.txt", "s/notes.md"]


def test_a_file_in_place_of_a_folder_and_the_other_way_round(tmp_path):
    source = written(tmp_path / "shards", [[1]], ["a"])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="file is a file"):
        convert(source, tmp_path / "file", read_as="shards", write_as="npy")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        convert(source, tmp_path, read_as="shards", write_as="slamkit")
    assert (tmp_path / "file").read_text() == "mine"


LINES = {"slamkit": '{{"units": [1, 2], "duration": [1, 3], "file_name": "{}"}}\n', "textlesslib": "{}\t1 2 2 2\n"}


@pytest.mark.parametrize("name", LINES)
def test_blank_lines_and_a_byte_order_mark_are_no_utterances(tmp_path, name):
    lines = "\ufeff" + LINES[name].format("a") + "\n  \r\n" + LINES[name].format("b") + "\n"
    (tmp_path / "in").write_text(lines, encoding="utf-8")
    assert convert(tmp_path / "in", tmp_path / "out", read_as=name, write_as="shards") == 2
    units = [1, 2, 2, 2]
    assert names_in(tmp_path / "out") == [("a", None, None, units), ("b", None, None, units)]
    (tmp_path / "in").write_text(lines + "x 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="in, line 6 is not"):
        convert(tmp_path / "in", tmp_path / "again", read_as=name, write_as="shards")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("write_as", ["shards", "npy", "textlesslib"])
@pytest.mark.parametrize("number", [2, 8193])
def test_an_id_that_comes_again_is_named_with_both_lines_and_nothing_stays(tmp_path, number, write_as):
    ids = [*map(str, range(number - 1)), "0"]
    (tmp_path / "in").write_text("".join(LINES["slamkit"].format(i) for i in ids))
    with pytest.raises(ValueError, match=rf"in, line {number}: the id '0' is taken, by .*in, line 1\."):
        convert(tmp_path / "in", tmp_path / "out", read_as="slamkit", write_as=write_as)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
