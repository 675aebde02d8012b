"""The demo's stages at full size: what is asked of the training tasks, and the bytes of the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from slmcore.files.checkpoint import save
from slmcore.files.zoofile import add_row
from slmcore.units import OperatingPoint
from slmzoo.recipes.demo import codebook, codec, ellav, encoder, soundstream, speechtokenizer, ulm, vocoder
from slmzoo.recipes.demo.common import ZOO
from soundstream import SoundStream
from speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig
from twist import UnitVocoder
from wavlm_codebooks import Codebook

Asked = Callable[[ModuleType], list[Any]]
DIM = 192
"""Of the encoder."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Settings of the runs of a stage, for a corpus of two recordings and runs with a codebook of 200 codes."""
    for recording in (tmp_path / "wavs" / "train" / "joe" / "a.wav", tmp_path / "people" / "queen" / "b.wav"):
        recording.parent.mkdir(parents=True)
        recording.touch()
    point = OperatingPoint(zoo=ZOO, encoder="wavlm_demo", k=200, lmbda=7.0, num_neighbors=20)
    save(tmp_path / "codebook.safetensors", Codebook(torch.zeros(200, DIM), point).checkpoint({}))
    add_row(tmp_path / "zoo.json", ZOO, {"kind": "codebook", "k": 200, "file": "codebook.safetensors"})
    monkeypatch.setattr(encoder, "whisper_features", lambda: None)
    monkeypatch.setattr(encoder, "write_targets", lambda files, folder, *_: folder)
    monkeypatch.setattr(speechtokenizer, "compare", lambda runs: None)

    def of(stage: ModuleType) -> list[Any]:
        found: list[Any] = []
        monkeypatch.setattr(stage, "train", found.append)
        stage.make(tmp_path, tmp_path)
        return found

    return of


def size(model: nn.Module) -> int:
    """Bytes in half precision."""
    return sum(value.numel() * 2 for value in model.state_dict().values())


@pytest.mark.parametrize("stage", [encoder, codebook, codec, ulm, ellav, vocoder, speechtokenizer, soundstream])
def test_every_run_resumes_and_joins_the_zoo_of_the_runs(stage: ModuleType, asked: Asked, tmp_path: Path) -> None:
    settings = asked(stage)[0]
    assert (settings.run, settings.resume) == (tmp_path / stage.__name__.rpartition(".")[2], True)
    assert (settings.zoo, settings.registry) == (ZOO, tmp_path / "zoo.json")


def test_the_vocoder_is_small(asked: Asked) -> None:
    (settings,) = asked(vocoder)
    assert size(UnitVocoder(settings.sizes(200, 50.0))) < 3e6
    assert settings.point().lmbda == 7.0


def test_the_streaming_codec_is_small_causal_and_streams(asked: Asked) -> None:
    (settings,) = asked(soundstream)
    model = SoundStream(settings.sizes)
    assert size(model) < 3e6
    assert settings.sizes.seanet.streamable
    assert (model.sample_rate, model.frame_rate) == (16_000, 50.0)
    wav = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0))
    stream = model.eval().streaming()
    codes = torch.cat([*map(stream.encode, wav.split(700, 1)), stream.flush()], -1)
    assert codes.shape == (1, 8, 7)


def test_two_codecs_that_differ_in_the_teacher_alone_are_trained(asked: Asked) -> None:
    runs = asked(speechtokenizer)
    distilled, plain = (each.kept() for each in runs)
    differing = {name for name in plain if plain[name] != distilled[name]}
    assert differing - {"registry"} == {"run", "teacher"}
    assert (distilled["teacher"], distilled["teacher_layer"], plain["teacher"]) == (ZOO, None, None)
    assert all(each.resume for each in runs)
    assert runs[1].registry == runs[1].run / "zoo.json"
    model = SpeechTokenizer(runs[0].sizes(DIM))
    assert size(model) < 3e6
    assert (model.hop, model.num_codebooks) == (320, 8)


def test_the_report_has_the_figures_of_both(tmp_path: Path, monkeypatch) -> None:
    for folder, zoo, width in (("speechtokenizer", ".", 6), ("speechtokenizer-plain", "speechtokenizer-plain", 4)):
        torch.manual_seed(0)
        model = SpeechTokenizer(SpeechTokenizerConfig(strides=(4, 5), n_filters=2, dimension=width))
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / "model.safetensors", model.checkpoint())
        row = {"kind": "speechtokenizer", "file": str(tmp_path / folder / "model.safetensors")}
        add_row(tmp_path / zoo / "zoo.json", ZOO, row)

    def measure(model: SpeechTokenizer, mini: Path, out: Path) -> dict[str, Any]:
        return {"width": model.config.dimension, "in": [mini.name, out.name]}

    monkeypatch.setattr(speechtokenizer.benchmark, "make", lambda folder: folder)
    monkeypatch.setattr(speechtokenizer, "measure", measure)
    speechtokenizer.compare(tmp_path)
    found = json.loads((tmp_path / "speechtokenizer.json").read_text())
    assert found == {
        "distilled": {"width": 6, "in": ["data", "distilled"]},
        "plain": {"width": 4, "in": ["data", "plain"]},
    }
