"""The walk of docs/train_vocoder.md, in miniature."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

import hubconf
from slmcore import audio
from slmzoo import hub
from slmzoo.cli import main
from tests.reference.recipe import GOLDEN

GUIDE = Path(__file__).parents[3] / "docs" / "train_vocoder.md"
SMALL = (
    "--steps 3 --batch 2 --channels 16 --dim 8 --rates 5 8 8 --block-kernels 3 --dilations 1 --duration-width 8"
    " --discriminator-from 3 --segment 2560 --samples 1 --device cpu"
)


def commands() -> list[list[str]]:
    """The `slmzoo` lines of the guide's walk."""
    (block,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("slmzoo ")]


@pytest.mark.slow
def test_the_walk_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 seconds of one core."""
    monkeypatch.chdir(tmp_path)
    wav, rate = audio.load(GOLDEN / "speech.wav")
    for split, starts in (("train", (0, 8000)), ("dev", (4000,))):
        (tmp_path / "speech" / split).mkdir(parents=True)
        for start in starts:
            audio.write(tmp_path / "speech" / split / f"{start}.wav", wav[:, start : start + rate], rate)
    walk = commands()
    assert [words[0] for words in walk] == ["units", "units", "train", "resynth"]
    for words in walk:
        expanded = [str(next(tmp_path.glob(word))) if "*" in word else word for word in words]
        assert main([*expanded, *(SMALL.split() if words[0] == "train" else [])]) == 0, words
    spoken, at = audio.load(next((tmp_path / "out").glob("*.wav")))
    (file,) = (tmp_path / "mine").glob("unit_hifigan-*.safetensors")
    pipeline = hub.pipeline(zoo="demo", synthesizer=str(file), with_ulm=False)
    dev = tmp_path / "speech" / "dev" / "4000.wav"
    expected = pipeline.resynthesize(*audio.load(dev))[0]
    assert at == expected.sample_rate == 16000
    assert torch.allclose(spoken, expected.wav.clamp(-1, 1), atol=1e-3)
    vocoder = hubconf.unit_hifigan(zoo="mine", registry="mine/zoo.json")
    assert torch.equal(vocoder.speak([pipeline.units(*audio.load(dev))])[0].wav, expected.wav)
