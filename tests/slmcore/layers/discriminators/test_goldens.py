from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slmcore.layers.discriminators import (
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
    ScaleOutput,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from slmcore.layers.spectral import LogMel
from tests.reference import goldens

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("unit_hifigan_losses")
REAL, GENERATED = (torch.from_numpy(ARRAYS[name])[None] for name in ("real", "generated"))


def state_of(name: str) -> dict[str, torch.Tensor]:
    """The published state dict of a discriminator, by the recipe."""
    shapes = {key: value for key, value in ABOUT["state_dict"].items() if key.startswith(f"{name}.")}
    state = goldens.weights(shapes, {"*.weight_u": lambda u: u / u.norm()})
    for key in [key for key in state if key.endswith(".weight_orig")]:
        stem = key.removesuffix("orig")
        v = state[key].flatten(1).T @ state[f"{stem}u"]
        state[f"{stem}v"] = v / v.norm()
    return {key.removeprefix(f"{name}."): value for key, value in state.items()}


@pytest.fixture(scope="module", params=["mpd", "msd"])
def judged(request: pytest.FixtureRequest) -> tuple[str, list[ScaleOutput], list[ScaleOutput]]:
    name = request.param
    network = {"mpd": MultiPeriodDiscriminator, "msd": MultiScaleDiscriminator}[name]()
    network.load_state_dict(state_of(name))
    with torch.no_grad():
        return name, network.eval()(REAL), network(GENERATED)


def test_logits_are_the_published_ones(judged) -> None:
    name, *outputs = judged
    for kind, found in zip(("real", "generated"), outputs, strict=True):
        for index, output in enumerate(found):
            golden = ARRAYS[f"{name}/{index}/{kind}"]
            assert np.abs(output.logits[0].numpy() - golden).max() <= 3e-4 * golden.std()


def test_maps_have_the_published_shapes(judged) -> None:
    name, outputs, _ = judged
    for output, shapes in zip(outputs, ABOUT["losses"][name]["feature_shapes"], strict=True):
        assert [list(each.shape) for each in output.maps] == shapes[:-1]
        assert output.logits.shape == (1, np.prod(shapes[-1]))


def test_losses_are_the_published_ones(judged) -> None:
    name, real, generated = judged
    about = ABOUT["losses"][name]
    assert float(discriminator_loss(real, generated)) == pytest.approx(about["discriminator"], rel=1e-5)
    assert float(generator_loss(generated)) == pytest.approx(about["generator"], rel=1e-5)
    matching = 2 * feature_matching_loss(real, generated, logits=True)
    assert float(matching) == pytest.approx(about["feature_matching"], rel=1e-4)


@pytest.mark.parametrize("network", [MultiPeriodDiscriminator, MultiScaleDiscriminator])
def test_a_second_item_of_a_batch_gets_what_it_gets_alone(network) -> None:
    torch.manual_seed(0)
    widths = {"widths": (16,) * 7} if network is MultiScaleDiscriminator else {"widths": (4, 4)}
    module = network(**widths).eval()
    both, alone = module(torch.cat([REAL, GENERATED])), module(GENERATED)
    for a, b in zip(both, alone, strict=True):
        assert torch.allclose(a.logits[1], b.logits[0], atol=1e-5)


@pytest.mark.parametrize("name", ["mpd", "msd"])
def test_state_dicts_have_the_published_keys_and_shapes(name: str) -> None:
    module: nn.Module = {"mpd": MultiPeriodDiscriminator, "msd": MultiScaleDiscriminator}[name]()
    published = {
        key.removeprefix(f"{name}."): tuple(shape)
        for key, (shape, _) in ABOUT["state_dict"].items()
        if key.startswith(f"{name}.")
    }
    assert {key: tuple(value.shape) for key, value in module.state_dict().items()} == published


def test_the_mel_loss_is_the_published_one() -> None:
    mel = LogMel(16000)
    real, generated = mel(REAL), mel(GENERATED)
    assert real.shape == (1, 80, 35)
    assert np.allclose(real[0].numpy(), ARRAYS["mel_real"], atol=1e-3)
    assert np.allclose(generated[0].numpy(), ARRAYS["mel_generated"], atol=1e-3)
    loss = 45 * (real - generated).abs().mean()
    assert float(loss) == pytest.approx(ABOUT["losses"]["mel_l1_times_45"], rel=1e-5)
