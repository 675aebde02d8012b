from __future__ import annotations

import numpy as np
import pytest
import torch

from gslm.waveglow import load
from gslm.waveglow.denoiser import denoised
from tests.reference import goldens, gslm

pytestmark = pytest.mark.golden


@pytest.fixture(
    scope="module", params=["gslm_waveglow_small", pytest.param("gslm_waveglow_full", marks=pytest.mark.slow)]
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("waveglow") / "waveglow_256channels_standalone.pt"
    torch.save(gslm.waveglow_content(request.param), path)
    return load(path), *goldens.load(request.param)


def near(found: torch.Tensor, golden: np.ndarray) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= 1e-3 * golden.std())


def noise(about: dict, sigma: float) -> list[torch.Tensor]:
    drawn = np.random.RandomState(9)
    shapes = about["z_shapes_in_order"]
    return [torch.from_numpy((sigma * drawn.standard_normal(shape)).astype(np.float32))[0] for shape in shapes]


def test_speech_of_given_noise(case):
    model, about, arrays = case
    mel = torch.from_numpy(arrays["mel"])[0]
    audio = model(mel, noise(about, about["sigma"]))
    assert near(audio, arrays["audio"])
    assert near(model(mel, noise(about, 0.0)), arrays["audio_without_noise"])
    assert near(denoised(torch.from_numpy(arrays["audio"]), model.hum(), about["strength"]), arrays["denoised"])


def test_the_hum_that_is_taken_away(case):
    model, _, arrays = case
    assert near(model.hum(), arrays["bias_spec"].squeeze())


def test_noise_has_the_shapes_in_which_it_enters(case):
    model, about, arrays = case
    made = model.noise(arrays["mel"].shape[2])
    assert [[1, *part.shape] for part in made] == about["z_shapes_in_order"]
