"""The one writer of files: whole or not at all, links followed, devices and pipes left what they are."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from slmcore.files import atomic

needs_locks = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path):
    with atomic.writing(tmp_path / "a.bin") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "a.bin").exists()
        file.write(b", whole")
    assert (tmp_path / "a.bin").read_bytes() == b"half, whole"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOENT, "gone", "other.wav")])
def test_what_fails_leaves_the_old_file_and_its_own_error(tmp_path, error):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(type(error)) as caught, atomic.writing(tmp_path / "a.bin") as file:
        file.write(b"new")
        raise error
    assert caught.value is error
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("existing", [None, 0o600, 0o664])
def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path, existing):
    path = tmp_path / "a.bin"
    if existing is not None:
        path.touch()
        path.chmod(existing)
    before = os.umask(0o027)
    try:
        atomic.write_bytes(path, b"x")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == (0o640 if existing is None else existing)


@pytest.mark.parametrize("name", ["L" * 251 + ".wav", "語" * 83 + ".png"])
def test_the_longest_names_fit(tmp_path, name):
    atomic.write_bytes(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


def test_a_name_that_is_too_long_is_named(tmp_path):
    with pytest.raises(OSError, match=r"File name too long.*xxxx") as caught:
        atomic.write_bytes(tmp_path / ("x" * 256), b"x")
    assert caught.value.errno == errno.ENAMETOOLONG
    assert names(tmp_path) == []


@pytest.mark.parametrize("there", [True, False])
def test_links_are_followed(tmp_path, there):
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target.jsonl"
    if there:
        target.write_bytes(b"old")
    (tmp_path / "second.jsonl").symlink_to(target)
    (tmp_path / "first.jsonl").symlink_to("second.jsonl")
    atomic.write_bytes(tmp_path / "first.jsonl", b"new")
    assert (tmp_path / "first.jsonl").is_symlink()
    assert (tmp_path / "second.jsonl").is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "far") == ["target.jsonl"]


def test_a_named_pipe_passes_on_what_is_flushed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    seen: list[bytes] = []
    done = threading.Event()

    def reader() -> None:
        with (tmp_path / "pipe").open("rb") as pipe:
            seen.append(pipe.readline())
            done.set()
            seen.append(pipe.read())

    thread = threading.Thread(target=reader)
    thread.start()
    with atomic.writing(tmp_path / "pipe") as file:
        file.write(b"one\n")
        file.flush()
        assert done.wait(10)
        file.write(b"two\n")
    thread.join(10)
    assert seen == [b"one\n", b"two\n"]
    assert (tmp_path / "pipe").is_fifo()


def test_devices_stay_devices(tmp_path):
    atomic.write_bytes("/dev/null", b"x")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "link").symlink_to("/dev/null")
    atomic.write_bytes(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("stream", ["/dev/stdout", "/dev/fd/1"])
def test_the_own_output_is_appended_to(tmp_path, stream):
    script = f"from slmcore.files import atomic; atomic.write_bytes({stream!r}, b'new')"
    command, root = [sys.executable, "-c", script], Path(__file__).parents[3]
    with (tmp_path / "log").open("ab") as log:
        log.write(b"old ")
        log.flush()
        subprocess.run(command, stdout=log, check=True, cwd=root)
    assert (tmp_path / "log").read_bytes() == b"old new"
    piped = subprocess.run(command, capture_output=True, check=True, cwd=root)
    assert piped.stdout == b"new"


def test_a_full_device_is_named_with_the_remedy():
    with pytest.raises(OSError, match=r"^/dev/full was not written: No space left on device\. Make room") as caught:
        atomic.write_bytes("/dev/full", b"x")
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.bin was not written: File too large") as caught:
            atomic.write_bytes(tmp_path / "a.bin", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_errors_of_other_libraries_that_mean_a_full_disk_are_named(tmp_path):
    full = RuntimeError("I/O error: No space left on device (os error 28)")
    message = r"a\.pt was not written: .*os error 28.*Make room"
    with pytest.raises(OSError, match=message), atomic.replacing(tmp_path / "a.pt"):
        raise full
    with pytest.raises(RuntimeError, match="another"), atomic.replacing(tmp_path / "a.pt"):
        raise RuntimeError("another")


def test_a_full_disk_of_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(OSError, match=r"^/dev/full was not written"), atomic.writing(tmp_path / "results.jsonl"):
        atomic.write_bytes("/dev/full", b"x")


def test_a_writer_that_takes_a_name(tmp_path):
    with atomic.replacing(tmp_path / "a.safetensors") as part:
        assert part.parent == tmp_path
        save_file({"x": torch.ones(3)}, part)
    assert names(tmp_path) == ["a.safetensors"]


def test_targets_are_checked_before_the_work(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    atomic.check_target(tmp_path / "new")
    atomic.check_target(tmp_path / "file")
    for name, kind, message in [
        ("folder", IsADirectoryError, r"folder is a folder\. Give the name of a file in it"),
        ("nowhere/a.jsonl", FileNotFoundError, r"nowhere/a\.jsonl cannot be written: there is no folder .*nowhere"),
        ("file/a.jsonl", FileNotFoundError, r"there is no folder .*file"),
    ]:
        with pytest.raises(kind, match=message):
            atomic.check_target(tmp_path / name)
        with pytest.raises(kind, match=message):
            atomic.write_bytes(tmp_path / name, b"x")
    (tmp_path / "dangling").symlink_to("nowhere/a.jsonl")
    with pytest.raises(FileNotFoundError, match="dangling cannot be written"):
        atomic.check_target(tmp_path / "dangling")


@needs_locks
def test_a_locked_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"a\.bin cannot be written: permission denied"):
            atomic.write_bytes(tmp_path / "a.bin", b"x")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("windows", "modes"), [(False, [os.O_RDONLY] * 2), (True, [os.O_RDWR])])
def test_windows_flushes_files_open_for_writing_and_no_folders(windows, modes, tmp_path, monkeypatch):
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE))
    (tmp_path / "a.bin").write_bytes(b"kept")
    for path in (tmp_path / "a.bin", tmp_path):
        atomic.sync(path, windows=windows)
    assert flushed == modes
    assert (tmp_path / "a.bin").read_bytes() == b"kept"
