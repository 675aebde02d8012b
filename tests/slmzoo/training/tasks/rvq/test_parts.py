from __future__ import annotations

import math

import pytest
import torch

from slmcore.layers.vq import ResidualVQ
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.distillation import LOSSES
from slmzoo.training.tasks.rvq.parts import commitment_loss, distillation_loss, known_frames, mixed
from soundstream.quantizer import SplitVQ


def test_frames_that_hold_a_sample_are_known() -> None:
    known = known_frames(torch.tensor([0, 1, 10, 11, 40]), 10, 4)
    assert known.sum(1).tolist() == [0, 1, 1, 2, 4]
    assert known[3].tolist() == [True, True, False, False]


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("kind", ["residual", "split"])
def test_the_commitment_of_all_frames_is_the_quantisers(kind: str, levels: int) -> None:
    torch.manual_seed(0)
    quantizer = ResidualVQ(3, 8, 4) if kind == "residual" else SplitVQ(3, 8, 4, 2)
    latents = torch.randn(2, 4, 9, requires_grad=True)
    found = quantizer(latents, levels)
    ours = commitment_loss(found, torch.ones(2, 9, dtype=torch.bool))
    assert float(ours.detach()) == pytest.approx(float(found.commitment.detach()), rel=1e-5)
    gradients = [torch.autograd.grad(loss, latents, retain_graph=True)[0] for loss in (ours, found.commitment)]
    assert torch.allclose(*gradients, atol=1e-7)


def test_every_level_sends_its_commitment_to_the_encoder() -> None:
    """With codes so that only one level errs, its error alone is the gradient's source."""
    for erring in range(3):
        quantizer = ResidualVQ(3, 1, 2)
        for level, layer in enumerate(quantizer.layers):
            layer.embed.zero_()
            if level == erring:
                layer.embed.fill_(0.5)
        latents = torch.zeros(1, 2, 5, requires_grad=True)
        commitment_loss(quantizer(latents), torch.ones(1, 5, dtype=torch.bool)).backward()
        # Levels behind the erring one get -0.5, at the same gradient of 2 * 0.5 / 30 each.
        assert torch.allclose(latents.grad, torch.full((1, 2, 5), -(3 - erring) / 30), atol=1e-6), erring


def test_frames_behind_the_end_have_no_commitment() -> None:
    quantizer, known = ResidualVQ(2, 8, 4), torch.tensor([[True] * 3 + [False] * 2])
    latents = torch.randn(1, 4, 5, generator=generator(0, 0))
    other = latents.clone()
    other[..., 3:] = 100.0
    losses = [float(commitment_loss(quantizer(x), known)) for x in (latents, other)]
    assert losses[0] == losses[1]
    alone = float(commitment_loss(quantizer(latents[..., :3]), known[:, :3]))
    assert losses[0] == pytest.approx(alone, rel=1e-6)


def test_shares_of_items_reach_the_decoder_unquantised() -> None:
    quantized, latents = torch.zeros(1000, 2, 3), torch.ones(1000, 2, 3)
    assert mixed(quantized, latents, 0.0, 0.0, generator(0, 0)) is quantized
    for share in (0.3, 1.0):
        given = mixed(quantized, latents, share, 0.0, generator(0, 0))
        assert given.flatten(1).std(1).max() == 0
        assert float(given.mean()) == pytest.approx(share, abs=0.05)
    assert torch.equal(
        mixed(quantized, latents, 0.3, 0.0, generator(0, 1)), mixed(quantized, latents, 0.3, 0.0, generator(0, 1))
    )


def test_noise_is_relative_to_each_channel_and_differs_from_item_to_item() -> None:
    latents = torch.randn(400, 2, 50, generator=generator(0, 0)) * torch.tensor([1.0, 100.0])[:, None]
    given = mixed(torch.zeros_like(latents), latents, 1.0, 0.5, generator(0, 1))
    relative = (given - latents).std(2) / torch.tensor([1.0, 100.0])
    # Uniform from 0 to 0.5: its mean is 0.25.
    assert relative.mean(0).tolist() == pytest.approx([0.25, 0.25], abs=0.03)
    assert float(relative.min()) < 0.02
    assert 0.45 < float(relative.max()) < 0.65
    untouched = mixed(latents, latents, 0.5, 0.5, generator(0, 2))
    still = (untouched == latents).flatten(1).all(1).float().mean()
    assert float(still) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("axis", ["D", "T", "cosine"])
def test_distillation_of_the_known_frames_is_that_of_a_shorter_recording(axis: str) -> None:
    student, teacher = (torch.randn(1, 8, 3, generator=generator(0, n)) for n in (1, 2))
    known = torch.tensor([[True] * 5 + [False] * 3])
    found = distillation_loss(axis, student, teacher, known)
    alone = LOSSES[axis](student[:, :5], teacher[:, :5])
    assert float(found) == pytest.approx(float(alone), rel=1e-5)
    whole = distillation_loss(axis, student, teacher[:, :7], torch.ones(1, 8, dtype=torch.bool))
    assert float(whole) == pytest.approx(float(LOSSES[axis](student[:, :7], teacher[:, :7])), rel=1e-5)


def test_unrelated_features_have_the_losses_of_chance() -> None:
    student, teacher = (
        torch.randn(8, 400, 64, generator=generator(0, 1)),
        torch.randn(8, 400, 64, generator=generator(0, 2)),
    )
    known = torch.ones(8, 400, dtype=torch.bool)
    assert float(distillation_loss("D", student, teacher, known)) == pytest.approx(math.log(2), abs=0.01)
    assert float(distillation_loss("cosine", student, teacher, known)) == pytest.approx(1, abs=0.01)
