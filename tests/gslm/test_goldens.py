"""GSLM's encoders, through published containers, beside what the published code gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gslm import hubert, wav2vec2
from gslm.hubert import HuBERT
from slmcore.encoders.speech import SpeechEncoder
from slmcore.encoders.waveforms import Chunks
from tests.reference import goldens
from tests.reference.gslm_encoders import hubert_content, save_hubert, w2v2_content, wav_of

pytestmark = pytest.mark.golden


def near(found: torch.Tensor, golden: np.ndarray, every: int = 1) -> bool:
    thinned = found.numpy()[::every]
    assert found.dtype == torch.float32
    return thinned.shape == golden.shape and bool(np.abs(thinned - golden).max() < 1e-4 * golden.std())


def check(model: SpeechEncoder, name: str, first: int) -> None:
    about, arrays = goldens.load(name)
    assert len(arrays) > 3
    for key, golden in arrays.items():
        case, layer = key.split("/layer")
        given = about["inputs"][case]
        if "max_chunk" not in given:
            every = given.get("every", 4 if case in about.get("every_4th_frame", ()) else 1)
            found = model.features(wav_of(given), 16000, int(layer) + 1 - first)
            assert near(found, golden, every), key


@pytest.fixture(scope="module")
def small_hubert(tmp_path_factory: pytest.TempPathFactory) -> HuBERT:
    path = tmp_path_factory.mktemp("hubert") / "model.pt"
    return hubert.load(save_hubert(path, hubert_content("gslm_hubert_small")))


def test_hubert(small_hubert: HuBERT) -> None:
    check(small_hubert, "gslm_hubert_small", first=1)
    wav = goldens.noise(16007, 7)
    assert torch.equal(small_hubert.features(wav, 16000), small_hubert.features(wav, 16000, 6))


@pytest.mark.parametrize("case", ["chunked", "normalized"])
def test_hubert_in_chunks(case: str, tmp_path: Path) -> None:
    about, arrays = goldens.load("gslm_hubert_small")
    given = about["inputs"][case]
    content = hubert_content("gslm_hubert_small", normalize=given.get("task_normalize", False))
    model = hubert.load(save_hubert(tmp_path / "model.pt", content))
    model.windows = Chunks(whole=given["max_chunk"] / 16000)
    keys = [key for key in arrays if key.startswith(case)]
    assert keys
    for key in keys:
        assert near(model.features(wav_of(given), 16000, int(key.split("layer")[1])), arrays[key])


def test_wav2vec2(tmp_path: Path) -> None:
    torch.save(w2v2_content("gslm_w2v2_small"), tmp_path / "model.pt")
    model = wav2vec2.load(tmp_path / "model.pt")
    check(model, "gslm_w2v2_small", first=0)
    wav = goldens.noise(16007, 7)
    assert torch.equal(model.features(wav, 16000), model.features(wav, 16000, 15))


@pytest.mark.slow
def test_hubert_base(tmp_path: Path) -> None:
    model = hubert.load(save_hubert(tmp_path / "model.pt", hubert_content("gslm_hubert_base")))
    assert (model.dim, model.num_layers, model.frame_rate) == (768, 12, 50.0)
    check(model, "gslm_hubert_base", first=1)


@pytest.mark.slow
def test_wav2vec2_large(tmp_path: Path) -> None:
    torch.save(w2v2_content("gslm_w2v2_large"), tmp_path / "model.pt")
    model = wav2vec2.load(tmp_path / "model.pt")
    assert (model.dim, model.num_layers, model.frame_rate) == (1024, 24, 50.0)
    check(model, "gslm_w2v2_large", first=0)
