from __future__ import annotations

import numpy as np
import pytest
import torch

from slmcore.layers.discriminators import discriminator_loss, feature_matching_loss, generator_loss
from slmcore.layers.discriminators.multi_scale_stft import MultiScaleSTFTDiscriminator
from tests.reference import goldens

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("speechtokenizer_losses")
VALUES = {key.removeprefix("mstftd/"): value for key, value in ABOUT["values"].items() if key.startswith("mstftd/")}


def noise(seed: int) -> np.ndarray:
    return 0.1 * np.random.RandomState(goldens.seed() + seed).standard_normal((2, 4800))


REAL = torch.from_numpy(noise(0).astype(np.float32))
MADE = torch.from_numpy((0.7 * noise(0) + 0.5 * noise(1)).astype(np.float32))


@pytest.fixture(scope="module")
def discriminator() -> MultiScaleSTFTDiscriminator:
    shapes = ABOUT["discriminators"]["mstftd"]["state_dict"]
    windows = {key: torch.hann_window(shape[0]) for key, (shape, _) in shapes.items() if key.endswith("window")}
    named = {f"mstftd.{key}": value for key, value in shapes.items() if key not in windows}
    state = {key.removeprefix("mstftd."): value for key, value in goldens.weights(named).items()}
    module = MultiScaleSTFTDiscriminator()
    module.load_state_dict(state | windows)
    return module.eval()


@torch.no_grad()
def test_scores_maps_and_losses_are_the_published_ones(discriminator: MultiScaleSTFTDiscriminator) -> None:
    real, made = discriminator(REAL), discriminator(MADE)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 472330
    for kind, outputs in (("real", real), ("made", made)):
        for i, output in enumerate(outputs):
            golden = ARRAYS[f"mstftd/eval/{kind}_logits{i}"]
            found = output.logits[:, :: max(1, output.logits.shape[1] // 64)].numpy()
            assert np.abs(found - golden).max() <= 3e-4 * golden.std()
    assert [[list(each.shape) for each in output.maps] for output in real] == VALUES["feature_shapes"]
    assert float(discriminator_loss(real, made)) == pytest.approx(VALUES["eval/discriminator_loss"], rel=1e-4)
    assert float(generator_loss(made)) == pytest.approx(VALUES["eval/adversarial_loss"], rel=1e-4)
    assert float(2 * feature_matching_loss(real, made)) == pytest.approx(VALUES["eval/feature_loss"], rel=1e-4)


def test_a_second_item_of_a_batch_gets_what_it_gets_alone() -> None:
    torch.manual_seed(0)
    module = MultiScaleSTFTDiscriminator((64, 32), 2)
    for both, alone in zip(module(REAL), module(REAL[1:]), strict=True):
        assert torch.allclose(both.logits[1], alone.logits[0], atol=1e-5)


def test_the_shortest_sound_is_the_longest_window() -> None:
    module = MultiScaleSTFTDiscriminator((64, 32), 2)
    assert module(torch.randn(1, 64))[0].logits.numel() > 0
    with pytest.raises(ValueError, match="at least 64 samples long, but is 63"):
        module(torch.randn(1, 63))
