from __future__ import annotations

import os
import uuid
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


def test_paths_and_urls_stay_what_they_are():
    assert places.join("some/folder", "a") == Path("some/folder/a")
    assert places.join("memory://some/folder/", "a") == "memory://some/folder/a"
