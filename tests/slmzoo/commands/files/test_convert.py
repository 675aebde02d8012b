"""`slmzoo convert`."""

from __future__ import annotations

import pytest
import torch

from slmzoo.cli import main
from tests.reference.recipe import GOLDEN

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_convert(capsys, registry, tmp_path):
    from mistral_ulm import load

    target = tmp_path / "ulm.safetensors"
    assert main(["convert", str(registry.parent / "ulm.pt"), str(target)]) == 0
    assert "ulm" in capsys.readouterr().out
    one, other = load(registry.parent / "ulm.pt"), load(target)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert main(["convert", str(GOLDEN / "speech.wav"), str(target)]) == 2
