from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.files import folders

NAMES = st.sampled_from(["a", "b", "a.wav", "a-b", "a b", "A"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=10))
def test_the_order_is_that_of_paths(tmp_path_factory, parts):
    """As `sorted(folder.rglob("*"))` gives it, by which shards were cut before."""
    folder = tmp_path_factory.mktemp("in")
    for each in parts:
        file = folder.joinpath(*each)
        if not any(above.is_file() for above in file.parents) and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
    assert list(folders.walk(folder)) == [path for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.fixture
def linked(tmp_path) -> Path:
    """A corpus with a speaker who lies elsewhere, a way back to the top, and a file that is gone."""
    (tmp_path / "else" / "deep").mkdir(parents=True)
    (tmp_path / "else" / "deep" / "x.wav").write_bytes(b"x")
    corpus = tmp_path / "corpus"
    (corpus / "s1").mkdir(parents=True)
    (corpus / "s1" / "a.wav").write_bytes(b"a")
    (corpus / "s2").symlink_to("../else", target_is_directory=True)
    (corpus / "s3").symlink_to("../else", target_is_directory=True)
    (corpus / "s1" / "back").symlink_to(corpus, target_is_directory=True)
    (corpus / "s1" / "gone.wav").symlink_to("nowhere")
    return corpus


def test_linked_folders_are_entered_and_loops_are_not(linked):
    found = [path.relative_to(linked).as_posix() for path in folders.walk(linked)]
    assert found == ["s1/a.wav", "s1/gone.wav", "s2/deep/x.wav", "s3/deep/x.wav"]


def test_patterns_do_not_go_round(linked):
    for pattern in ("**/*.wav", "*/**/*.wav", "**"):
        found = [Path(path).relative_to(linked).as_posix() for path in folders.matching(f"{linked}/{pattern}")]
        files = [path for path in found if path.endswith(".wav")]
        assert files == ["s1/a.wav", "s1/gone.wav", "s2/deep/x.wav", "s3/deep/x.wav"], pattern
    assert folders.matching(f"{linked}/s?/a.wav") == [f"{linked}/s1/a.wav"]
    assert folders.matching(f"{linked}/none*") == []


def test_two_folders_that_lead_to_each_other(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        (tmp_path / one / "x").write_bytes(b"")
        (tmp_path / one / "other").symlink_to(tmp_path / other, target_is_directory=True)
    found = [path.relative_to(tmp_path).as_posix() for path in folders.walk(tmp_path)]
    assert found == ["a/other/x", "a/x", "b/other/x", "b/x"]


def test_a_folder_that_cannot_be_looked_into_is_named(linked, monkeypatch):
    scandir = os.scandir

    def guarded(folder: str) -> object:
        if str(folder).endswith("s2"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(PermissionError, match=r"corpus/s2 cannot be listed: Permission denied"):
        list(folders.walk(linked))
    problems: list[OSError] = []
    assert [path.name for path in folders.walk(linked, problems.append)] == ["a.wav", "gone.wav", "x.wav"]
    assert [type(problem) for problem in problems] == [PermissionError]
