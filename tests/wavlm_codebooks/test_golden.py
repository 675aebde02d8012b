from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.reference import goldens
from wavlm_codebooks.wavlm import WavLM, load

pytestmark = pytest.mark.golden


def case_wav(case: str) -> tuple[torch.Tensor, int]:
    if case == "speech":
        return goldens.speech()
    seed = goldens.seed()
    samples, seed, sr = {
        "noise16k": (16000 + seed, seed, 16000),
        "noise22k": (30000 + seed, seed + 1, 22050),
        "short": (400, seed + 2, 16000),
    }[case]
    return goldens.noise(samples, seed), sr


def load_published(name: str, folder: Path) -> WavLM:
    golden = goldens.load_json(name)
    torch.save({"cfg": golden["cfg"], "model": goldens.weights(golden["state_dict"])}, folder / "model.pt")
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


SMALL = goldens.load_npz("wavlm_small")


@pytest.mark.parametrize("key", SMALL)
def test_small_meets_the_published_features(small: WavLM, key: str) -> None:
    check_golden(small, key, SMALL[key])


@pytest.mark.slow
def test_large_meets_the_published_features(tmp_path: Path) -> None:
    model = load_published("wavlm_large", tmp_path)
    assert (model.dim, model.num_layers, model.frame_rate, model.hop) == (1024, 24, 50.0, 320)
    golden = goldens.load_npz("wavlm_large")
    for key, wanted in golden.items():
        check_golden(model, key, wanted)
