"""`slmzoo doctor`."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import setuptools

from slmzoo.cli import main
from slmzoo.commands.installation import doctor

ROOT = Path(__file__).parents[4]


def rows(capsys) -> dict[str, dict]:
    assert main(["doctor"]) == 0
    return {row["component"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


def test_present_and_absent_components(capsys, monkeypatch):
    def version(name: str) -> str:
        if name == "numba":
            raise PackageNotFoundError
        return "1.2"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/x" if name == "flite" else None)
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    found = rows(capsys)
    assert (found["numba"]["state"], found["numba"]["remedy"]) == ("absent", "pip install 'slmzoo[fast]'")
    assert (found["lightning"]["state"], found["lightning"]["remedy"]) == ("present", "")
    assert (found["flite"]["state"], found["ffmpeg"]["state"]) == ("present", "absent")
    assert "m4a" in found["ffmpeg"]["needed_by"]
    assert found["SLMZOO_OFFLINE"]["state"] == "1"
    assert "SLMZOO_MIRROR" not in found


def test_a_missing_required_package_is_status_1(capsys, monkeypatch):
    def version(name: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(doctor, "version", version)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out


def test_a_table_for_a_person(capsys, terminal):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["component", "state", "version", "needed", "by", "remedy"]
    assert next(line for line in lines if line.startswith("torch ")).split()[2] == doctor.version("torch")


def test_extras_are_those_of_the_installation(monkeypatch):
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    spec = importlib.util.spec_from_file_location("setup_of_slmzoo", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    offered = {name for name in module.EXTRAS if name not in ("test", "all")}
    assert set(doctor.EXTRAS) == offered
    for extra, (packages, _) in doctor.EXTRAS.items():
        required = {text.split(">")[0].split("[")[0] for text in module.EXTRAS[extra]}
        assert set(packages) <= required
