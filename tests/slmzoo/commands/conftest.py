"""The tiny zoo, offline, and a clip of speech for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmcore import audio
from tests.reference.recipe import GOLDEN


@pytest.fixture
def tiny_zoo(registry, monkeypatch) -> None:
    """The tiny zoo, and no network."""
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """One second of speech."""
    wav, sr = audio.load(GOLDEN / "speech.wav")
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    audio.write(path, wav[:, 8000:24000], sr)
    return path
