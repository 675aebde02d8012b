from __future__ import annotations

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.corpus.formats import FORMATS, convert
from tests.reference.named_units import names_in, of_names

paths = st.lists(st.text("ab%2F.é ", min_size=1, max_size=4).filter(lambda t: t not in ("..", ".")), min_size=1,
                 max_size=3).map("/".join)  # fmt: skip
called = st.tuples(paths, st.none() | paths, st.none() | paths)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15, deadline=None)
@given(names=st.lists(called, min_size=1, max_size=4, unique_by=lambda row: row[0].casefold()))
def test_ids_chapters_and_speakers_come_back(tmp_path_factory, name, names):
    folder = tmp_path_factory.mktemp("names")
    source = of_names(folder / "shards", names)
    try:
        convert(source, folder / "other", read_as="shards", write_as=name)
    except ValueError as error:
        assert "would share the file" in str(error)
        assert not (folder / "other").exists()
        return
    convert(folder / "other", folder / "back", read_as=name, write_as="shards")
    assert names_in(folder / "back") == names_in(source)


NAMES = [
    ("s1/a", "train/s1", None),
    ("seg1", None, "S1"),
    ("x", "c", "s"),
    ("50%2Foff", None, None),
    ("c/y", "c", None),
]


@pytest.mark.parametrize("name", FORMATS)
def test_the_names_of_corpora_come_back(tmp_path, name):
    source = of_names(tmp_path / "shards", NAMES)
    convert(source, tmp_path / "other", read_as="shards", write_as=name)
    convert(tmp_path / "other", tmp_path / "back", read_as=name, write_as="shards")
    assert names_in(tmp_path / "back") == names_in(source)


def test_without_the_file_of_names_a_path_says_what_it_can(tmp_path):
    convert(of_names(tmp_path / "shards", NAMES[:2]), tmp_path / "npy", read_as="shards", write_as="npy")
    (tmp_path / "npy" / "names.jsonl").unlink()
    convert(tmp_path / "npy", tmp_path / "back", read_as="npy", write_as="shards")
    assert [row[:3] for row in names_in(tmp_path / "back")] == [("S1/seg1", "S1", None), ("s1/a", "train/s1", None)]


def test_names_that_a_path_tells_need_no_file(tmp_path):
    for name, file in (("npy", "npy/names.jsonl"), ("slamkit", "slamkit.names.jsonl")):
        for source, kept in (("plain", False), ("named", True), ("plain", False)):
            names = [("c/y", "c", None)] if source == "plain" else NAMES
            if not (tmp_path / source).exists():
                of_names(tmp_path / source, names)
            if name == "npy":
                shutil.rmtree(tmp_path / "npy", ignore_errors=True)
            convert(tmp_path / source, tmp_path / name, read_as="shards", write_as=name)
            assert (tmp_path / file).exists() == kept


def test_a_damaged_file_of_names_is_named(tmp_path):
    convert(of_names(tmp_path / "shards", NAMES), tmp_path / "npy", read_as="shards", write_as="npy")
    with (tmp_path / "npy" / "names.jsonl").open("a") as file:
        file.write('{"name": "x"}\n')
    with pytest.raises(ValueError, match=r"names\.jsonl, line 4 is damaged"):
        convert(tmp_path / "npy", tmp_path / "back", read_as="npy", write_as="shards")


def test_two_utterances_never_share_a_file(tmp_path):
    source = of_names(tmp_path / "shards", [("c/x", "c", None), ("x", "c", None)])
    with pytest.raises(ValueError, match=r"'x' and another utterance would share the file x\.npy"):
        convert(source, tmp_path / "npy", read_as="shards", write_as="npy")
    assert not (tmp_path / "npy").exists()
