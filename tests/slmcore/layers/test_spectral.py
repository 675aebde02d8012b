from __future__ import annotations

import numpy as np
import pytest
import torch

from slmcore.layers.spectral import SpectralLoss, Spectrum
from slmzoo.training.loop.task import generator


def spectra(wav: np.ndarray, n_fft: int) -> np.ndarray:
    """Magnitudes (frames, n_fft / 2 + 1) over the window's sum, by numpy, with mirrored ends."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(wav, n_fft // 2, mode="reflect")
    starts = range(0, len(padded) - n_fft + 1, n_fft // 4)
    found = np.abs(np.fft.rfft(np.stack([padded[s : s + n_fft] * window for s in starts])))
    return np.sqrt(found**2 + 1e-12) / window.sum()


def test_the_loss_is_numpys():
    draw = generator(0, 0)
    made, real = (0.1 * torch.randn(1, 3000, generator=draw) for _ in range(2))
    loss = SpectralLoss(16000, ((256, 20), (512, 30)))
    mel, stft = [], []
    for spectrum in (scale.spectrum for scale in loss.scales):
        a, b = (spectra(wav[0].double().numpy(), len(spectrum.window)) for wav in (made, real))
        bank = spectrum.bank.double().numpy()
        assert np.allclose(bank.sum(0), 1, atol=1e-6)
        mel.append(np.abs(np.log(a @ bank + 1e-4) - np.log(b @ bank + 1e-4)).mean())
        logs = np.abs(np.log(a + 1e-4) - np.log(b + 1e-4)).mean()
        stft.append(0.5 * logs + 0.5 * np.linalg.norm(a - b) / np.linalg.norm(b))
    found = loss(made, real)
    assert float(found[0]) == pytest.approx(np.mean(mel), rel=1e-4)
    assert float(found[1]) == pytest.approx(np.mean(stft), rel=1e-4)


def test_spectral_loss_is_zero_for_the_same_and_grows_with_the_difference():
    loss, draw = SpectralLoss(16000), generator(0, 0)
    real, noise = 0.1 * torch.randn(2, 4000, generator=draw), 0.1 * torch.randn(2, 4000, generator=draw)
    assert [float(part) for part in loss(real, real)] == [0, 0]
    for part in range(2):
        near, far = (float(loss(real + share * noise, real)[part]) for share in (0.1, 1.0))
        assert 0 < near < far
    silent = torch.zeros(1, 4000, requires_grad=True)
    torch.stack(loss(silent, real[:1])).sum().backward()
    assert silent.grad is not None
    assert bool(torch.isfinite(silent.grad).all())


def test_a_mel_band_of_a_tone_is_where_the_tone_is():
    spectrum = Spectrum(16000, 512, 40)
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 16000).unsqueeze(0)
    magnitude, mel = spectrum(tone, 128)
    assert int(magnitude[0, 10].argmax()) == 32
    assert float(magnitude[0, 10].max()) == pytest.approx(0.5, rel=1e-3)
    centres = torch.linspace(0, 1, 512 // 2 + 1) @ spectrum.bank * 8000
    assert abs(float(centres[mel[0, 10].argmax()]) - 1000) < 100
