"""Audio for the tests of reading and writing it."""

from __future__ import annotations

import pytest


@pytest.fixture
def without_ffmpeg(monkeypatch, tmp_path_factory) -> None:
    """A PATH on which there is no program."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
