from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from slmcore.layers.vq import ResidualVQ
from slmzoo.training.tasks.speechtokenizer_losses import MEL_WINDOWS, ReconstructionLosses
from tests.reference import goldens

ABOUT, ARRAYS = goldens.load("speechtokenizer_losses")
VALUES = ABOUT["values"]


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(goldens.seed() + seed).standard_normal(shape).astype(np.float32))


@pytest.fixture
def sounds() -> tuple[Tensor, Tensor]:
    """Generated and real waveforms (2, 4800) of the goldens."""
    x = 0.1 * normal(0, 2, 1, 4800)[:, 0]
    return 0.7 * x + 0.5 * 0.1 * normal(1, 2, 1, 4800)[:, 0], x


@pytest.mark.golden
def test_each_loss_is_the_golden(sounds: tuple[Tensor, Tensor]) -> None:
    made, real = sounds
    longer = torch.cat([made, 0.1 * normal(2, 2, 1, 320)[:, 0]], 1)
    losses = ReconstructionLosses(16000)
    for wav, ending in ((made, ""), (longer, "_longer")):
        found = losses(wav, real)
        assert float(found["waveform"]) == pytest.approx(VALUES[f"recon{ending}"], rel=1e-5)
        for scale, window in enumerate(MEL_WINDOWS):
            assert float(found[f"mel_{window}"]) == pytest.approx(VALUES[f"mel_loss{scale}{ending}"], rel=1e-5)
    silent = losses(torch.zeros_like(real), real)
    assert float(silent["mel_1024"]) == pytest.approx(VALUES["mel_loss_silence0"], rel=1e-5)
    weighted = sum(
        w * losses(made, real)[f"mel_{n}"] for w, n in zip(ABOUT["mel"]["lambdas"], MEL_WINDOWS, strict=True)
    )
    assert float(weighted) == pytest.approx(VALUES["mel_total"], rel=1e-5)


@pytest.mark.golden
def test_the_spectra_are_the_goldens(sounds: tuple[Tensor, Tensor]) -> None:
    for scale, mel in enumerate(ReconstructionLosses(16000).mels):
        spectrum = mel(sounds[1])
        assert list(spectrum.shape) == VALUES[f"mel{scale}_shape"]
        assert np.allclose(spectrum[:, ::8, ::4].numpy(), ARRAYS[f"mel{scale}"], atol=1e-5)


@pytest.mark.golden
def test_commitment_has_the_published_value_and_reaches_the_encoder_at_every_level() -> None:
    """The published code takes residuals of vectors with their gradient, so that only level 1 trains the encoder."""
    config = ABOUT["config"]
    vq = ResidualVQ(config["n_q"], config["codebook_size"], config["dimension"])
    for level, layer in enumerate(vq.layers):
        shape = (config["codebook_size"], config["dimension"])
        embed = goldens.tensor(f"quantizer.vq.layers.{level}._codebook.embed", shape) * config["dimension"] ** 0.5
        scale, mean = (torch.from_numpy(ARRAYS[f"step/codebook_{name}"][level]) for name in ("scale", "mean"))
        layer.embed.copy_(embed * scale + mean)
    latents = torch.from_numpy(ARRAYS["commitment/latents"]).requires_grad_()
    found = vq(latents)
    per_level = (found.residuals - found.parts.detach()).square().mean((1, 2, 3))
    assert np.allclose(per_level.numpy(), VALUES["commitment/per_layer"], rtol=1e-4)
    assert found.commitment.item() == pytest.approx(VALUES["commitment/mean"], rel=1e-4)
    sums = [vq(latents, levels).commitment * levels for levels in range(1, 5)]
    terms = [b - a for a, b in zip([torch.zeros(()), *sums], sums, strict=False)]
    assert np.allclose([term.item() for term in terms], VALUES["commitment/per_layer"], rtol=1e-3)
    reached = [torch.autograd.grad(term, latents, retain_graph=True)[0].abs().sum().item() for term in terms]
    published = VALUES["commitment/gradient_abs_sum_per_layer"]
    assert reached[0] == pytest.approx(published[0], rel=1e-3)
    assert published[1:] == [0.0, 0.0, 0.0]
    assert all(each > 0.3 * reached[0] for each in reached[1:])
