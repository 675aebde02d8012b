from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from tests.reference import tiny_zoo
from tests.reference.recipe import GOLDEN


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_zoo.write(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def pipeline(registry: Path) -> Pipeline:
    return hub.pipeline(zoo="tiny", registry=registry)


@pytest.fixture(scope="session")
def speech() -> tuple[torch.Tensor, int]:
    return audio.load(GOLDEN / "speech.wav")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is what a person sees."""
    monkeypatch.setattr("slmzoo.commands.results.on_terminal", lambda: True)
