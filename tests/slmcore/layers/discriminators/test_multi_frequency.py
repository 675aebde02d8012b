from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slmcore.layers.discriminators import (
    ScaleOutput,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from slmcore.layers.discriminators.multi_frequency import MultiFrequencyDiscriminator
from slmcore.layers.discriminators.multi_period import MultiPeriodDiscriminator
from slmcore.layers.discriminators.multi_scale import MultiScaleDiscriminator
from tests.reference.soundstream_losses import ABOUT, ARRAYS, frequency, waves, weighted

pytestmark = pytest.mark.golden
SMALL_WIDTHS = {"mpd": (4, 16, 64, 128, 128), "msd": (16, 16, 32, 64, 128, 128, 128)}


@torch.no_grad()
def check(name: str, module: nn.Module, inputs: dict[str, Tensor]) -> dict[str, list[ScaleOutput]]:
    """Compare scores, maps and their sizes with the golden's."""
    made = {kind: module(wav) for kind, wav in inputs.items() if f"{name}/{kind}/score0" in ARRAYS}
    for kind, outputs in made.items():
        for i, output in enumerate(outputs):
            golden = ARRAYS[f"{name}/{kind}/score{i}"]
            assert np.abs(output.logits.numpy() - golden.reshape(len(golden), -1)).max() <= 3e-4 * golden.std()
            for j, found in enumerate(output.maps):
                assert list(found.shape) == ARRAYS[f"{name}/{kind}/map{i}_shapes"][j].tolist()
                n, kept = found.numel(), ARRAYS[f"{name}/{kind}/map{i}_{j}"]
                places = np.arange(64) * n // 64 if n >= 64 else np.arange(n)
                assert np.abs(found.flatten()[places].numpy() - kept).max() <= 3e-4 * max(kept.std(), 1e-6)
                mean = float(found.abs().mean())
                assert mean == pytest.approx(ARRAYS[f"{name}/{kind}/map{i}_mean_abs"][j], rel=1e-4)
    assert made
    return made


def test_scores_maps_and_losses_of_a_small_multi_frequency_discriminator() -> None:
    module = frequency("mfd_small")
    spectrum = module.discriminators[0].spectrum(waves(1203)["real"])[0]
    assert np.allclose(spectrum[..., ::4].numpy(), ARRAYS["mfd_small/input_hop32"], atol=1e-5)
    bank = module.discriminators[0].bank.numpy()
    assert np.allclose(bank, ARRAYS["mfd_small/mel_bank_hop32"], atol=1e-6)
    made = check("mfd_small", module, waves(1203))
    real, fake = made["real"], made["fake"]
    found = {
        "lsgan_generator": generator_loss(fake, "lsgan", "mean"),
        "lsgan_discriminator": discriminator_loss(real, fake, "lsgan", "mean"),
        "hinge_generator": generator_loss(fake, "hinge", "mean"),
        "hinge_discriminator": discriminator_loss(real, fake, "hinge", "mean"),
        "feature_matching": feature_matching_loss(real, fake, "mean"),
    }
    for name, loss in found.items():
        assert float(loss) == pytest.approx(float(ARRAYS[f"mfd_small/{name}"][0]), rel=1e-4), name


@pytest.mark.parametrize("domain", ["log", "linear"])
def test_one_channel_of_magnitudes_or_of_logarithms(domain: str) -> None:
    check(f"mfd_{domain}", frequency(f"mfd_{domain}", domain=domain, mel_scale=False), waves(1203))


@pytest.mark.parametrize("name", ["mpd", "msd"])
def test_narrow_period_and_scale_discriminators(name: str) -> None:
    make = {"mpd": MultiPeriodDiscriminator, "msd": MultiScaleDiscriminator}[name]
    made = check(f"{name}_small", weighted(f"{name}_small", lambda: make(widths=SMALL_WIDTHS[name])), waves(1203))
    golden = ARRAYS[f"{name}_small/losses"]
    found = [
        generator_loss(made["fake"]),
        discriminator_loss(made["real"], made["fake"]),
        2 * feature_matching_loss(made["real"], made["fake"], logits=True),
    ]
    assert [float(loss) for loss in found] == pytest.approx(golden.tolist(), rel=1e-4)


@pytest.mark.slow
def test_the_published_size() -> None:
    module = frequency("mfd")
    assert sum(parameter.numel() for parameter in module.parameters()) == ABOUT["mfd_parameters"]
    made = check("mfd", module, waves(8400, 1))
    real, fake = made["real"], made["fake"]
    found = [
        generator_loss(fake, "lsgan", "mean"),
        discriminator_loss(real, fake, "lsgan", "mean"),
        feature_matching_loss(real, fake, "mean"),
    ]
    assert [float(loss) for loss in found] == pytest.approx(ARRAYS["mfd/losses"].tolist(), rel=1e-4)


def test_a_second_item_of_a_batch_gets_what_it_gets_alone() -> None:
    module, wav = frequency("mfd_small"), waves(1203)["real"]
    for both, alone in zip(module(wav), module(wav[1:]), strict=True):
        assert torch.allclose(both.logits[1], alone.logits[0], atol=1e-5)


def test_the_shortest_sound_is_eight_times_the_longest_hop() -> None:
    module = MultiFrequencyDiscriminator(16000, (8, 16), (32, 32))
    assert module(torch.randn(1, 128))[1].logits.numel() > 0
    with pytest.raises(ValueError, match="at least 128 samples long, but is 127"):
        module(torch.randn(1, 127))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": (32,)}, "one number for each of the 2 hops"),
        ({"channels": (32, 48)}, "multiples of 32"),
        ({"domain": "mel"}, "double, log or linear"),
    ],
)
def test_impossible_sizes_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiFrequencyDiscriminator(16000, **{"hops": (8, 16), "channels": (32, 32), **wrong})
