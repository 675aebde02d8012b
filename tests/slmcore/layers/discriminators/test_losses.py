from __future__ import annotations

import pytest
import torch

from slmcore.layers.discriminators import (
    ScaleOutput,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)


def output(logits: list[float], *maps: list[float]) -> ScaleOutput:
    return ScaleOutput(torch.tensor([logits]), [torch.tensor([[each]]) for each in maps])


REAL = [output([3.0, 0.5], [2.0, -2.0]), output([-1.0], [4.0])]
MADE = [output([-3.0, 0.5], [2.0, 0.0]), output([2.0], [2.0])]


def test_the_hinge() -> None:
    # First network: real 0 and 0.5, generated 0 and 1.5. Second: real 2, generated 3.
    assert float(discriminator_loss(REAL, MADE, "hinge", "mean")) == pytest.approx((0.25 + 0.75 + 2 + 3) / 2)
    assert float(discriminator_loss(REAL, MADE, "hinge", "sum")) == pytest.approx(0.25 + 0.75 + 2 + 3)
    assert float(generator_loss(MADE, "hinge", "mean")) == pytest.approx(((4 + 0.5) / 2 + 0) / 2)


def test_least_squares_is_the_default_and_sums_the_networks() -> None:
    # First network: real 4 and 0.25, generated 9 and 0.25. Second: real 4, generated 4.
    assert float(discriminator_loss(REAL, MADE)) == pytest.approx(2.125 + 4.625 + 4 + 4)
    assert float(discriminator_loss(REAL, MADE, reduction="mean")) == pytest.approx((2.125 + 4.625 + 4 + 4) / 2)
    assert float(generator_loss(MADE)) == pytest.approx((16 + 0.25) / 2 + 1)


def test_feature_matching_compares_maps_or_also_logits_absolutely_or_relatively() -> None:
    assert float(feature_matching_loss(REAL, MADE)) == pytest.approx(1 + 2)
    assert float(feature_matching_loss(REAL, MADE, "mean")) == pytest.approx((1 + 2) / 2)
    assert float(feature_matching_loss(REAL, MADE, "mean", logits=True)) == pytest.approx((1 + 2 + 3 + 3) / 4)
    assert float(feature_matching_loss(REAL, MADE, "mean", relative=True)) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert float(feature_matching_loss(REAL, REAL)) == 0


def test_real_audio_gets_no_gradient_from_matching() -> None:
    real, made = (torch.tensor([[[value]]], requires_grad=True) for value in (1.0, 3.0))
    feature_matching_loss([ScaleOutput(real[0], [real])], [ScaleOutput(made[0], [made])], logits=True).backward()
    assert real.grad is None
    assert made.grad is not None
    assert made.grad.tolist() == [[[2.0]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [(("wgan",), "`objective` must be one of lsgan, hinge"), (("hinge", "max"), "`reduction` must be 'sum' or 'mean'")],
)
def test_unknown_losses_are_refused(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        discriminator_loss(REAL, MADE, *options)
