from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from slmcore.errors import CheckpointError
from slmcore.files.archives import opened

CONTENT = {"config.json": b"{}", "deep/weights.bin": bytes(range(256)) * 4000}


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix != ".tar" else "w") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_files_are_unpacked_beside_the_archive(tmp_path, name):
    archive = (zipped if name.endswith(".zip") else tarred)(tmp_path / name, CONTENT)
    folder = opened(archive)
    assert folder == tmp_path / f"{name}.unpacked"
    assert {key: (folder / key).read_bytes() for key in CONTENT} == CONTENT


def test_a_single_folder_inside_is_the_one_that_is_meant(tmp_path):
    inner = {f"TWIST-350M/{name}": data for name, data in CONTENT.items()}
    archive = zipped(tmp_path / "a.zip", {**inner, "__MACOSX/x": b""})
    assert opened(archive) == tmp_path / "a.zip.unpacked" / "TWIST-350M"


def test_it_is_unpacked_once_and_anew_when_replaced(tmp_path):
    archive = zipped(tmp_path / "a.zip", CONTENT)
    folder = opened(archive)
    (folder / "config.json").write_bytes(b"kept")
    assert (opened(archive) / "config.json").read_bytes() == b"kept"
    zipped(archive, {"config.json": b"new one"})
    os.utime(archive, ns=(1, 1))
    assert (opened(archive) / "config.json").read_bytes() == b"new one"
    assert not (folder / "deep").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")) == [
        "a.zip",
        "a.zip.unpacked",
    ]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "C:/evil", "a\\..\\..\\evil", "\\evil"])
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, name, ending):
    (tmp_path / "inner").mkdir()
    archive = (zipped if ending == ".zip" else tarred)(tmp_path / "inner" / f"a{ending}", {**CONTENT, name: b"x"})
    with pytest.raises(CheckpointError, match="leaves its folder"):
        opened(archive)
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name or path.name == "config.json"]
    assert not (tmp_path / "inner" / f"a{ending}.unpacked").exists()


def test_links_and_devices_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        archive = tarred(tmp_path / "a.tar", {"config.json": b"{}"})
        with tarfile.open(archive, "a") as more:
            entry = tarfile.TarInfo("link")
            entry.type, entry.linkname = kind, "/etc/passwd"
            more.addfile(entry)
        with pytest.raises(CheckpointError, match="a link or device"):
            opened(archive)
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as more:
        more.writestr(link, "/etc/passwd")
    with pytest.raises(CheckpointError, match="a link or device"):
        opened(archive)


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_damaged_archives_are_named_and_leave_nothing(tmp_path, ending):
    archive = (zipped if ending == ".zip" else tarred)(tmp_path / f"a{ending}", CONTENT)
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"<html>not here</html>", whole[:60] + b"x" * 40 + whole[100:]):
        archive.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"a\..* is damaged, or no archive"):
            opened(archive)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == [archive.name]


def test_what_is_no_archive_is_left_as_it_is(tmp_path):
    for name in ("model.pt", "absent.zip"):
        if name == "model.pt":
            (tmp_path / name).write_bytes(b"x")
        assert opened(tmp_path / name) == tmp_path / name
    assert opened(str(tmp_path)) == tmp_path


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    archive = zipped(tmp_path / "a.zip", CONTENT)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="Unpack it yourself"):
            opened(archive)
    finally:
        tmp_path.chmod(0o700)
