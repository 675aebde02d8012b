"""GSLM's encoders, through published containers, beside what the published code gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gslm import cpc, hubert, wav2vec2
from gslm.cpc import CPC
from gslm.hubert import HuBERT
from gslm.log_mel import LogMel
from slmcore.encoders.speech import SpeechEncoder
from slmcore.encoders.waveforms import Chunks
from tests.reference import goldens
from tests.reference.gslm_encoders import cpc_content, hubert_content, save_hubert, w2v2_content, wav_of

pytestmark = pytest.mark.golden


def near(found: torch.Tensor, golden: np.ndarray, every: int = 1) -> bool:
    thinned = found.numpy()[::every]
    assert found.dtype == torch.float32
    return thinned.shape == golden.shape and bool(np.abs(thinned - golden).max() < 1e-4 * golden.std())


def check(model: SpeechEncoder, name: str, first: int) -> None:
    about, arrays = goldens.load(name)
    assert len(arrays) >= 2
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


def load_cpc(folder: Path, name: str) -> CPC:
    torch.save(cpc_content(name), folder / "model.pt")
    return cpc.load(folder / "model.pt")


def check_cpc(model: CPC, name: str) -> None:
    about, arrays = goldens.load(name)
    for case, given in about["inputs"].items():
        found = model.features(wav_of(given), 16000)
        assert len(found) == given["frames"], case
        assert near(found, arrays[case], given["every"]), case
        for key in (key for key in arrays if key.startswith(f"{case}/around")):
            frame = int(key.removeprefix(f"{case}/around"))
            part = found[frame - 4 : frame + 4].numpy()
            assert np.abs(part - arrays[key]).max() < 1e-4 * arrays[case].std(), key


def test_cpc(tmp_path: Path) -> None:
    model = load_cpc(tmp_path, "gslm_cpc_small")
    check_cpc(model, "gslm_cpc_small")
    arrays = goldens.load_npz("gslm_cpc_small")
    noise = goldens.noise(16007, 7)
    assert near(model.features(noise, 16000, 1), arrays["noise_level1"])
    assert near(model.features(noise, 16000, 4), arrays["noise_all_levels"])
    with torch.no_grad():
        assert near(model.convolved(noise)[0], arrays["noise_encoder_layer"])


def test_log_mel() -> None:
    about, arrays = goldens.load("gslm_logmel")
    model = LogMel(resample=False)
    for case, given in about["inputs"].items():
        found = model.features(wav_of(given), given["rate"])
        assert len(found) == given["frames"]
        thinned = found.numpy()[:: 8 if case in about["every_8th_frame"] else 1]
        # Where a band has next to no power its logarithm tells one Fourier transform's rounding from another's.
        np.testing.assert_allclose(thinned, arrays[case], atol=1e-3, rtol=0)
        assert np.quantile(np.abs(thinned - arrays[case]), 0.99) < 1e-4


@pytest.mark.slow
def test_cpc_big(tmp_path: Path) -> None:
    model = load_cpc(tmp_path, "gslm_cpc_big")
    assert (model.dim, model.num_layers, model.frame_rate) == (512, 4, 100.0)
    check_cpc(model, "gslm_cpc_big")


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
