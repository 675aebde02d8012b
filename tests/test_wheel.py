"""The wheel: its top level, its data and its metadata, built from the files of the repository alone."""

from __future__ import annotations

import email
import email.message
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.test_architecture import MAY_IMPORT, ROOT

DEMO = {"codebook", "ellav", "speechtokenizer", "ulm", "wavlm", "wavtokenizer"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built without the network, in a copy, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("build")
    for name in MAY_IMPORT:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "hubconf.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("tests", "benchmarks"):  # packages of the repository that are none of the wheel
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, timeout=300)
    return zipfile.ZipFile(next((folder / "dist").glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


@pytest.mark.slow
def test_the_top_level_holds_the_packages_and_nothing_else(wheel):
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(MAY_IMPORT)


@pytest.mark.slow
def test_every_package_is_marked_as_typed(wheel):
    names = set(wheel.namelist())
    assert {f"{package}/py.typed" for package in MAY_IMPORT} <= names


@pytest.mark.slow
def test_every_module_is_in_the_wheel(wheel):
    there = {str(path.relative_to(ROOT)) for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py")}
    assert there == {name for name in wheel.namelist() if name.endswith(".py")}


@pytest.mark.slow
def test_the_weights_of_the_demo_are_in_the_wheel_byte_for_byte(wheel):
    weights, zoos = (sorted((ROOT / "slmzoo" / "demo").glob(f"*.{kind}")) for kind in ("safetensors", "json"))
    assert {file.stem for file in weights} == DEMO
    assert {file.stem for file in zoos} == {"zoo", "speechtokenizer"}
    for file in (*weights, *zoos):
        assert wheel.read(file.relative_to(ROOT).as_posix()) == file.read_bytes()


@pytest.mark.slow
def test_the_files_of_the_page_are_in_the_wheel(wheel):
    files = [*(ROOT / "slmzoo" / "web" / "static").iterdir(), ROOT / "slmzoo" / "web" / "sample.flac"]
    assert len(files) > 10
    for file in files:
        assert wheel.read(file.relative_to(ROOT).as_posix()) == file.read_bytes()


@pytest.mark.slow
def test_metadata_says_what_an_index_shows(metadata):
    found = tuple(metadata[name] for name in ("Name", "Author", "License", "License-File"))
    assert found == ("slmzoo", "The slmzoo authors", "MIT", "LICENSE")
    urls = dict(each.split(", ", 1) for each in metadata.get_all("Project-URL", []))
    assert {"Source", "Documentation", "Issues"} <= set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert "speech tokenizer" in metadata["Keywords"]
    assert metadata["Requires-Python"] == ">=3.10"


@pytest.mark.slow
def test_the_description_has_no_links_into_a_clone(metadata):
    text = str(metadata.get_payload())
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert links
    assert all(link.startswith(("https://", "http://", "#")) for link in links), links


def test_packages_that_are_typed_say_so():
    """What the wheel takes from the tree, where no wheel is built."""
    assert all((ROOT / package / "py.typed").read_bytes() == b"" for package in MAY_IMPORT)
