"""From one rate to another: torchaudio's filter, in bounded memory at any pair of rates."""

from __future__ import annotations

import math

import pytest
import torch
import torchaudio
from torch.utils._python_dispatch import TorchDispatchMode

from slmcore import audio
from slmcore.audio import resampling
from tests.reference.tones import tone

USUAL = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]


def test_resample_keeps_the_tone():
    wav = tone(0.5, 24000)
    assert audio.resample(wav, 24000, 24000) is wav
    down = audio.resample(wav, 24000, 16000)
    assert down.shape == (1, 8000)
    assert (down - tone(0.5))[:, 500:-500].abs().max() < 1e-2


@pytest.mark.parametrize("to", [8000, 10000, 16000, 22050, 24000, 44100])
def test_usual_rates_are_what_torchaudio_gives_to_the_bit(to):
    for sr in USUAL:
        wav = torch.rand(2, sr // 10, generator=torch.Generator().manual_seed(sr)) - 0.5
        expected = wav if sr == to else torchaudio.functional.resample(wav, sr, to)
        assert torch.equal(audio.resample(wav, sr, to), expected)


@pytest.mark.parametrize(("sr", "to"), [(44100, 16000), (11025, 16000), (24000, 16000), (16000, 24000), (2000, 2001)])
def test_the_filter_evaluated_is_that_of_torchaudio(sr, to):
    wav = torch.rand(2, sr // 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    expected = torchaudio.functional.resample(wav, sr, to)
    torch.testing.assert_close(resampling._evaluated(wav, sr, to), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(resampling._evaluated(wav.float(), sr, to), expected.float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sr", [44101, 11127, 22255, 47952, 7999, 15999, 16001, 768000 - 1])
def test_unusual_rates_keep_pitch_time_and_level(sr):
    seconds = 0.7
    made = audio.resample(tone(seconds, sr, 2), sr, 16000)
    assert made.shape == (2, math.ceil(round(seconds * sr) * 16000 / sr))
    expected = tone(seconds + 0.1, 16000, 2)[:, : made.shape[1]]
    assert (made[:, 400:-400] - expected[:, 400:-400]).abs().max() < 3e-3


def test_an_unusual_rate_does_not_drift():
    sr, seconds = 44101, 30
    made = audio.resample(tone(seconds, sr), sr, 16000)
    expected = tone(seconds)
    assert made.shape == expected.shape
    assert (made[:, -2000:-400] - expected[:, -2000:-400]).abs().max() < 3e-3


def test_what_lies_above_the_new_nyquist_frequency_is_taken_out():
    t = torch.arange(44101 // 2, dtype=torch.float64) / 44101
    high = torch.sin(2 * math.pi * 11000 * t).float()[None]
    assert audio.resample(high, 44101, 16000)[:, 400:-400].abs().max() < 2e-2


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.elements = max(self.elements, made.numel() if isinstance(made, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize("sr", [4001, 11127])
def test_memory_does_not_grow_with_the_rates(sr):
    with Largest() as largest:
        audio.resample(torch.zeros(1, 3 * sr), sr, 16000)
    assert 48000 <= largest.elements < 2**21
    with Largest() as usual:
        torchaudio.functional.resample(torch.zeros(1, 320), 4001, 4000)
    assert usual.elements > 2**23


@pytest.mark.parametrize("samples", [0, 1, 2, 319])
@pytest.mark.parametrize(("sr", "to"), [(44101, 16000), (16001, 44100)])
def test_the_shortest_wavs(samples, sr, to):
    wav = torch.ones(1, samples)
    assert audio.resample(wav, sr, to).shape == (1, math.ceil(samples * to / sr))


def test_dtype_and_gradient_are_kept():
    wav = tone(0.05, 44101).double().requires_grad_()
    made = audio.resample(wav, 44101, 16000)
    assert made.dtype == torch.float64
    made.sum().backward()
    assert wav.grad is not None
    assert float(wav.grad.sum()) == pytest.approx(made.shape[1], rel=0.02)
