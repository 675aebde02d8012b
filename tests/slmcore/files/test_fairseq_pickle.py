from __future__ import annotations

import argparse
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, read
from tests.reference.gslm_encoders import foreign, save_hubert, save_with_omegaconf, with_state

SETTINGS = {"model": {"layers": 3, "convs": [1, [2]], "name": "x"}, "task": {"normalize": True, "rate": None}}


def content(path: Path) -> dict[str, Any]:
    """All of a checkpoint, as its translator gets it."""
    seen: list[Any] = []

    def keep(obj: Any) -> Checkpoint:
        seen.append(obj)
        return Checkpoint(kind="any", config={}, state={})

    read(path, None, keep)
    return seen[0]


@pytest.mark.parametrize("zipped", [True, False])
def test_settings_of_a_namespace_and_what_a_dictionary_holds_are_plain(tmp_path: Path, zipped: bool) -> None:
    inner = argparse.Namespace(depth=2)
    given = {"args": argparse.Namespace(arch="a", layers=3, inner=inner), "model": {"w": torch.arange(3.0)}}
    path = save_hubert(tmp_path / "model.pt", given, _use_new_zipfile_serialization=zipped)
    found = content(path)
    assert found["args"] == {"arch": "a", "layers": 3, "inner": {"depth": 2}}
    assert torch.equal(found["model"]["w"], torch.arange(3.0))
    assert found["task_state"]["dictionaries"][0]["symbols"] == ["<s>", "0", "1"]


def test_settings_of_omegaconf_are_their_values(tmp_path: Path) -> None:
    found = content(save_with_omegaconf(tmp_path / "model.pt", {"cfg": SETTINGS, "args": None}))
    assert found == {"cfg": SETTINGS, "args": None}


def test_a_shared_object_is_read_once(tmp_path: Path) -> None:
    laughs: list[Any] = ["x"]
    for _ in range(60):
        laughs = [laughs, laughs]
    torch.save({"args": laughs}, tmp_path / "model.pt")
    found = content(tmp_path / "model.pt")["args"]
    assert found[0] is found[1]


class Runs:
    """A pickle of this makes a folder when it is loaded by an unguarded reader."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["args", "cfg", "task_state"])
def test_a_planted_payload_is_refused_unrun(tmp_path: Path, where: str, zipped: bool) -> None:
    trap = tmp_path / "owned"
    planted = {"args": argparse.Namespace(a=1), "model": {}, where: argparse.Namespace(inner=Runs(trap))}
    torch.save(planted, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"refused without running it: it holds (posix|nt)\.mkdir"):
        content(tmp_path / "model.pt")
    assert not trap.exists()


@pytest.mark.parametrize("name", ["sneaky.module.Thing", "fairseqs.Thing", "argparse.Action", "os.path.Thing"])
def test_a_class_that_is_not_expected_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with foreign(name) as (cls,):
        torch.save({"args": with_state(cls, a=1), "model": {}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=f"refused without running it: it holds {re.escape(name)}"):
        content(tmp_path / "model.pt")


def test_an_expected_class_does_nothing_even_where_it_is_installed(tmp_path: Path) -> None:
    with foreign("fairseq.models.Loud") as (loud,):
        ran: list[int] = []
        loud.__setstate__ = lambda self, state: ran.append(1)  # pyright: ignore[reportAttributeAccessIssue]
        torch.save({"args": with_state(loud, a=1), "model": {}}, tmp_path / "model.pt")
        assert content(tmp_path / "model.pt")["args"] == {"a": 1}
        assert not ran


def test_numbers_of_numpy_in_the_training_state_are_no_obstacle(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    torch.save({"args": {"a": 1}, "extra_state": {"loss": numpy.float64(3.0)}}, tmp_path / "model.pt")
    assert content(tmp_path / "model.pt")["args"] == {"a": 1}


def test_the_list_of_known_classes_is_left_as_it_was(tmp_path: Path) -> None:
    torch.save({"args": argparse.Namespace(a=1)}, tmp_path / "model.pt")
    before = set(torch.serialization.get_safe_globals())
    content(tmp_path / "model.pt")
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "model.pt", weights_only=True)
