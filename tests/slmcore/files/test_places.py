from __future__ import annotations

import os
import uuid
import zipfile
from pathlib import Path

import pytest

from slmcore.files import places


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    pytest.importorskip("fsspec")
    return tmp_path / "deep" / "er" if request.param == "disk" else f"memory://{uuid.uuid4().hex}/deep"


def test_a_folder_on_a_disk_and_in_an_object_store(folder):
    place = places.join(folder, "a.bin")
    assert places.names(folder) == []
    assert not places.exists(place)
    places.make_folder(folder)
    places.write_bytes(place, b"one")
    places.write_bytes(place, b"two")
    places.write_bytes(places.join(folder, "b.bin"), b"")
    assert places.names(folder) == ["a.bin", "b.bin"]
    assert places.sizes(folder) == {"a.bin": 3, "b.bin": 0}
    assert places.sizes(places.join(folder, "none")) == {}
    assert places.exists(place)
    assert places.read_bytes(place) == b"two"
    with places.open_file(place) as file:
        file.seek(1)
        assert file.read() == b"wo"
    places.remove(place)
    places.remove(place)
    assert places.names(folder) == ["b.bin"]
    with pytest.raises(FileNotFoundError):
        places.read_bytes(place)


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    place = tmp_path / "a.bin"
    places.write_bytes(place, b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        places.write_bytes(place, b"new")
    assert place.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]  # noqa: PTH208


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        places.write_bytes(tmp_path / "not there" / "a.bin", b"x")


@pytest.mark.parametrize(
    ("folder", "joined"),
    [
        ("memory://some/folder/", "memory://some/folder/a"),
        ("memory://", "memory://a"),
        ("zip://d::z.zip", "zip://d/a::z.zip"),
        ("zip://::some/z.zip", "zip://a::some/z.zip"),
        ("simplecache::zip://d/e::s3://b/z.zip", "simplecache::zip://d/e/a::s3://b/z.zip"),
        ("https://host/dir?key=1/2", "https://host/dir/a?key=1/2"),
        ("s3://bucket/what?", "s3://bucket/what?/a"),
    ],
)
def test_names_are_joined_where_the_path_is(folder, joined):
    assert places.join(folder, "a") == joined
    assert places.parent(joined) == folder.replace("folder/", "folder")
    assert places.join("some/folder", "a") == Path("some/folder/a")
    assert places.parent("some/folder/a") == Path("some/folder")


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("some/a%20b.wav", "some/a%20b.wav"),
        ("http://host/x%20y/a.wav?token=b.flac", "host/x y/a.wav"),
        ("https://host/a.wav#t=3", "host/a.wav"),
        ("s3://bucket/a%20b?.wav", "bucket/a%20b?.wav"),
        ("zip://d/a.wav::https://host/z.zip?x=1", "d/a.wav"),
    ],
)
def test_the_path_in_a_place(place, path):
    assert places.path_in(place) == path


def test_urls_of_this_machine_are_paths(tmp_path):
    file = tmp_path / "a b%.wav"
    for url in (file.as_uri(), f"file://{file}", file.as_uri().replace("///", "//localhost/")):
        assert places.plain(url) == str(file), url
    (tmp_path / "a%20b.wav").write_bytes(b"x")
    assert places.plain(f"file://{tmp_path}/a%20b.wav") == f"{tmp_path}/a%20b.wav"
    assert [places.plain(place) for place in ("s3://a%20b", "a%20b")] == ["s3://a%20b", "a%20b"]


def test_stamps_tell_a_file_that_was_replaced(folder):
    places.make_folder(folder)
    place = places.join(folder, "a.bin")
    places.write_bytes(place, b"one")
    before = places.stamp(place)
    assert places.stamp(place) == before
    places.write_bytes(place, b"two")
    assert places.stamp(place) != before
    with pytest.raises(FileNotFoundError):
        places.stamp(places.join(folder, "none"))


def test_files_below_a_url(tmp_path):
    pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}"
    for name in ("b/x", "a"):
        places.write_bytes(f"{url}/{name}", b"123")
    found = list(places.walk(url))
    assert [(name, size) for name, size, _ in found] == [("a", 3), ("b/x", 3)]
    places.write_bytes(f"{url}/a", b"321")
    again = list(places.walk(url))
    assert [one == other for one, other in zip(found, again, strict=True)] == [False, True]
    assert [name for name, _, _ in places.walk(f"{url}/a")] == [""]


def test_archives_are_folders(tmp_path):
    pytest.importorskip("fsspec")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("d/x.wav", "d/y.txt", "a.wav"):
            archive.writestr(name, name)
    url = f"zip://::{tmp_path}/z.zip"
    assert [name for name, _, _ in places.walk(url)] == ["a.wav", "d/x.wav", "d/y.txt"]
    assert places.matching(places.join(url, "*.wav")) == [f"zip://a.wav::{tmp_path}/z.zip"]
    (found,) = places.matching(f"zip://d/*.wav::{tmp_path}/z.zip")
    assert places.read_bytes(found) == b"d/x.wav"
    assert places.names(f"zip://d::{tmp_path}/z.zip") == ["x.wav", "y.txt"]


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("foo://a/b", ValueError, "foo://a/b names the protocol foo, but fsspec knows s3"),
        ("zip://a::foo://b", ValueError, "zip://a::foo://b names the protocol foo"),
        ("s3://a/b", ImportError, "s3://a/b needs a package that is not here: Install s3fs"),
        ("zip://a::/no/z.zip", FileNotFoundError, "zip://a::/no/z.zip: .*No such file"),
    ],
)
def test_what_cannot_be_reached_is_named(place, error, message):
    pytest.importorskip("fsspec")
    if place.startswith("s3"):
        try:
            import s3fs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("s3fs is here, so nothing is missing")
    with pytest.raises(error, match=message):
        places.read_bytes(place)


class OursError(Exception):
    """Of a store, and known to nobody else."""


@pytest.mark.parametrize("work", [places.exists, places.names, places.sizes, places.stamp, places.open_file])
def test_errors_of_a_store_are_those_of_a_disk(monkeypatch, work):
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem

    def refuse(*_: object, **__: object) -> None:
        raise OursError("403 Forbidden")

    for name in ("exists", "isdir", "info", "open"):
        monkeypatch.setattr(memory, name, refuse)
    with pytest.raises(OSError, match="memory://a/b cannot be reached: 403 Forbidden"):
        work("memory://a/b")
