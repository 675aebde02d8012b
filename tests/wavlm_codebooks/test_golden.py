from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.reference.recipe import GOLDEN, golden_npz
from tests.reference.wavlm import noise, published_checkpoint
from wavlm_codebooks.wavlm import WavLM, load


def case_wav(case: str) -> tuple[torch.Tensor, int]:
    if case == "speech":
        speech, sr = soundfile.read(GOLDEN / "speech.wav", dtype="float32")
        return torch.from_numpy(speech)[None], sr
    return {"noise16k": (noise(16007), 16000), "noise22k": (noise(30007, 8), 22050), "short": (noise(400, 9), 16000)}[
        case
    ]


def load_published(name: str, folder: Path) -> WavLM:
    torch.save(published_checkpoint(name), folder / "model.pt")
    return load(folder / "model.pt")


def check_golden(model: WavLM, key: str, wanted: np.ndarray) -> None:
    case, layer = key.split("/layer")
    found = model.features(*case_wav(case), None if layer == "None" else int(layer))
    assert found.dtype == torch.float32
    thinned = found if len(found) == len(wanted) else found[::8]
    assert thinned.shape == wanted.shape
    assert np.abs(thinned.numpy() - wanted).max() < 1e-4 * wanted.std()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> WavLM:
    return load_published("wavlm_small", tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("key", golden_npz("wavlm_small"))
def test_small_meets_the_published_features(small: WavLM, key: str) -> None:
    check_golden(small, key, golden_npz("wavlm_small")[key])


@pytest.mark.slow
def test_large_meets_the_published_features(tmp_path: Path) -> None:
    model = load_published("wavlm_large", tmp_path)
    assert (model.dim, model.num_layers, model.frame_rate, model.hop) == (1024, 24, 50.0, 320)
    golden = golden_npz("wavlm_large")
    for key, wanted in golden.items():
        check_golden(model, key, wanted)
