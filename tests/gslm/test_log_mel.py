from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gslm.log_mel import LogMel, load
from slmcore.audio import resample
from slmcore.roles import Encoder
from tests.reference.goldens import noise


def mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)


def kaldi(wav: np.ndarray, rate: int) -> np.ndarray:
    """Kaldi's filter banks frame by frame, in float64, from their definition."""
    length, shift = rate * 25 // 1000, rate * 10 // 1000
    size = 1 << (length - 1).bit_length()
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    edges = np.linspace(mel(20.0), mel(rate / 2), 82)
    bins = mel(np.arange(size // 2) * rate / size)
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.clip(np.minimum(up, down), 0, None)
    rows = []
    for start in range(0, len(wav) - length + 1, shift):
        frame = wav[start : start + length] - wav[start : start + length].mean()
        frame = (frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])) * window
        power = np.abs(np.fft.rfft(frame, size)[: size // 2]) ** 2
        rows.append(np.log(np.maximum(filters @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize(("rate", "samples"), [(16000, 4007), (16000, 400), (22050, 5000)])
def test_features_are_kaldis(rate: int, samples: int) -> None:
    wav = noise(samples, 3, 0.1)
    found = LogMel(resample=False).features(wav, rate)
    np.testing.assert_allclose(found.numpy(), kaldi(wav[0].double().numpy(), rate), atol=2e-3)


def test_other_rates_are_resampled_unless_they_are_to_stay() -> None:
    wav = noise(8000, 4)
    expected = LogMel().features(resample(wav, 44100, 16000), 16000)
    assert torch.equal(LogMel().features(wav, 44100), expected)
    assert not torch.equal(LogMel(resample=False).features(wav, 44100)[: len(expected)], expected)


def test_batches_give_each_what_it_gets_alone() -> None:
    wavs, model = [noise(4000, 1), noise(1234, 2)], LogMel()
    for wav, found in zip(wavs, model.features_batch(wavs, 16000), strict=True):
        assert torch.equal(found, model.features(wav, 16000))


def test_silence_is_the_logarithm_of_the_smallest_number() -> None:
    found = LogMel().features(torch.zeros(1, 800), 16000)
    torch.testing.assert_close(found, torch.full((3, 80), float(np.log(np.finfo(np.float32).eps))))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 400 samples long"):
        LogMel().features(noise(399, 1), 16000)
    with pytest.raises(ValueError, match="`layer` must be None"):
        LogMel().features(noise(4000, 1), 16000, 1)


@pytest.mark.parametrize("resampled", [True, False])
def test_settings_are_saved(tmp_path: Path, resampled: bool) -> None:
    model = LogMel(resampled)
    model.save_pretrained(tmp_path)
    again = load(tmp_path / "model.safetensors")
    assert again.resample == resampled
    assert LogMel.from_pretrained(tmp_path).resample == resampled
    assert isinstance(again, Encoder)
    assert again.to("meta").device.type == "meta"
