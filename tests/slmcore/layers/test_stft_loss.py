from __future__ import annotations

import numpy as np
import pytest
import torch

from slmcore.layers.pqmf import PQMF
from slmcore.layers.spectral import LogMel
from slmcore.layers.stft_loss import FULL_BAND, Resolution, STFTLoss, SubBandSTFTLoss
from tests.reference.soundstream_losses import ARRAYS, waves

pytestmark = pytest.mark.golden


@pytest.mark.parametrize("bands", [2, 4, 6, 8])
def test_filters_are_the_published_ones(bands: int) -> None:
    assert np.allclose(PQMF(bands).filters[:, 0].numpy(), ARRAYS[f"pqmf{bands}/analysis_filter"], atol=1e-7)


@pytest.mark.parametrize("bands", [4, 6])
def test_sub_bands_are_the_published_ones(bands: int) -> None:
    wav = waves(4002)["real"]
    found = PQMF(bands)(wav)
    assert found.shape == (2, bands, 4002 // bands)
    assert np.allclose(found[0].numpy(), ARRAYS[f"pqmf{bands}/sub_bands"], atol=1e-5)
    assert torch.allclose(found[1], PQMF(bands)(wav[1:])[0], atol=1e-6)


def test_a_tone_lies_in_one_sub_band() -> None:
    time = torch.arange(6000)
    for band in range(6):
        tone = torch.sin(torch.pi * (band + 0.5) / 6 * time)[None]
        power = PQMF(6)(tone)[0, :, 50:-50].square().mean(1)
        assert int(power.argmax()) == band
        assert float(power[band] / power.sum()) > 0.99


def test_distances_are_the_published_ones() -> None:
    made, real = waves(4003)["fake"], waves(4003)["real"]
    loss = STFTLoss()
    for index in range(3):
        found = [float(x) for x in loss.at(index, made, real)]
        assert found == pytest.approx(ARRAYS[f"stft_full/scale{index}"].tolist(), rel=1e-5)
    assert [float(x) for x in loss(made, real)] == pytest.approx(ARRAYS["stft_full/total"].tolist(), rel=1e-5)
    silent = [float(x) for x in loss(torch.zeros_like(made), real)]
    assert silent == pytest.approx(ARRAYS["stft_full/made_silent"].tolist(), rel=1e-5)
    sub = SubBandSTFTLoss()(made, real)
    assert [float(x) for x in sub] == pytest.approx(ARRAYS["stft_sub/total"].tolist(), rel=1e-5)


def test_the_mel_loss_is_the_published_one() -> None:
    """The published code clips samples to 1 first."""
    mel = LogMel(24000, 1024, 160, win=800)
    made, real = (mel(waves(4003)[name].clamp(-1, 1)) for name in ("fake", "real"))
    assert float((made - real).abs().mean()) == pytest.approx(float(ARRAYS["mel/loss"][0]), rel=1e-4)


def test_windows_shorter_than_the_transform_lie_in_its_middle() -> None:
    size, wav = Resolution(64, 16, 40), waves(500)["real"][:1]
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(40) / 40), 12)
    padded = np.pad(wav[0].numpy(), 32, mode="reflect")
    frames = np.stack([padded[i : i + 64] * window for i in range(0, len(padded) - 63, 16)])
    magnitude = np.sqrt(np.maximum(np.abs(np.fft.rfft(frames)) ** 2, 1e-7))
    convergence, distance = STFTLoss([size])(wav / 2, wav)
    assert float(convergence) == pytest.approx(0.5, rel=1e-3)
    assert float(distance) == pytest.approx(np.log(magnitude / np.maximum(magnitude / 2, 1e-7**0.5)).mean(), rel=1e-3)


def test_gradients_of_silence_are_finite() -> None:
    made = torch.zeros(1, 4003, requires_grad=True)
    sum(STFTLoss()(made, waves(4003)["real"][:1])).backward()
    assert made.grad is not None
    assert bool(torch.isfinite(made.grad).all())


@pytest.mark.parametrize("loss", [STFTLoss(), SubBandSTFTLoss()])
def test_the_shortest_waveform(loss: STFTLoss | SubBandSTFTLoss) -> None:
    wav = torch.randn(1, loss.shortest, generator=torch.Generator().manual_seed(0))
    assert all(torch.isfinite(x) for x in loss(wav / 2, wav))
    with pytest.raises(RuntimeError):
        loss(
            wav[:, : -(6 if isinstance(loss, SubBandSTFTLoss) else 1)],
            wav[:, : -(6 if isinstance(loss, SubBandSTFTLoss) else 1)],
        )


def test_impossible_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="`bands` must be one of 2, 4, 6, 8, but is 3"):
        PQMF(3)
    with pytest.raises(ValueError, match="one or more"):
        STFTLoss([])
    assert STFTLoss(FULL_BAND[:1]).shortest == 257
