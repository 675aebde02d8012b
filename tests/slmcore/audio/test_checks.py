"""What audio must be, and what is worth a warning."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch

from slmcore import audio
from slmcore.audio import checks
from tests.reference.tones import tone


@pytest.fixture(autouse=True)
def _first_warnings() -> None:
    checks._warnings.clear()


def test_check_accepts_speech_and_names_what_is_wrong():
    audio.check(torch.zeros(1, 320), 16000)
    audio.check(torch.zeros(1, 441), 22050)
    for wav, sr, message in [
        (torch.zeros(1, 319), 16000, "at least 320 samples"),
        (torch.zeros(1, 440), 22050, "at least 441 samples"),
        (torch.zeros(1, 400, dtype=torch.int16), 16000, "float tensor"),
        (torch.zeros(400), 16000, r"Use `wav\[None\]`"),
        (torch.zeros(2, 400), 16000, "Average the channels"),
        (torch.zeros(1, 1, 400), 16000, "float tensor"),
        (torch.full((1, 400), math.inf), 16000, "finite"),
        (torch.zeros(1, 400), 0, "`sr` must be"),
        (torch.zeros(1, 400), 16000.5, "`sr` must be"),
        (np.zeros((1, 400)), 16000, r"a numpy array \(1, 400\)\. Use `torch\.from_numpy"),
    ]:
        with pytest.raises(ValueError, match=message):
            audio.check(wav, sr, "talk.wav")
    with pytest.raises(ValueError, match=r"`talk\.wav`"):
        audio.check(torch.zeros(1, 0), 16000, "talk.wav")


def test_a_sum_that_overflows_is_no_infinite_sample():
    for loud in (torch.full((1, 2000), 3e38), torch.full((1, 2000), 6e4, dtype=torch.float16)):
        assert loud.sum().isinf()
        audio.check(loud, 16000)
    opposed = torch.tensor([[math.inf, -math.inf]]).repeat(1, 1000)
    with pytest.raises(ValueError, match="finite"):
        audio.check(opposed, 16000)


def test_silence_is_no_error():
    audio.check(torch.zeros(1, 400), 16000)
    assert audio.is_silent(torch.zeros(1, 400))
    assert audio.is_silent(torch.zeros(1, 0))
    assert not audio.is_silent(tone())


@pytest.mark.parametrize("sr", [np.int64(16000), np.uint16(16000), 16000.0, np.float32(16000), torch.tensor(16000)])
def test_whole_numbers_of_any_type_are_rates(sr):
    audio.check(torch.zeros(1, 320), sr)
    with pytest.raises(ValueError, match="at least 320 samples"):
        audio.check(torch.zeros(1, 319), sr)
    assert audio.resample(tone(), sr, 8000).shape == (1, 800)
    assert audio.resample(tone(), 8000, sr).shape == (1, 3200)


@pytest.mark.parametrize(
    "sr", [True, np.bool_(True), torch.tensor(True), 0, -1, 16000.5, math.nan, math.inf, "16000", None]
)
def test_what_is_no_rate_is_refused(sr):
    for reject in (lambda: audio.check(torch.zeros(1, 320), sr), lambda: audio.resample(torch.zeros(1, 320), sr, 8000)):
        with pytest.raises(ValueError, match="`sr` must be a whole number of samples per second > 0"):
            reject()


def test_mono_averages_and_names_the_remedy():
    stereo = tone(channels=2)
    torch.testing.assert_close(audio.mono(stereo), (stereo[:1] + stereo[1:]) / 2)
    assert audio.mono(stereo[1:]) is not None
    torch.testing.assert_close(audio.mono(stereo[1:]), stereo[1:])
    for wav, remedy in [
        (torch.zeros(400), r"Use `wav\[None\]`"),
        (np.zeros((1, 400)), r"Use `torch.from_numpy\(wav\)"),
        ([0.0], r"Use a torch\.Tensor"),
    ]:
        with pytest.raises(ValueError, match=remedy):
            audio.mono(wav)


@pytest.mark.parametrize("rest", [0.0, 0.005])
def test_channels_in_antiphase_are_told_from_silence(rest):
    wav = torch.cat([tone(), -tone() * (1 - rest)])
    with pytest.raises(ValueError, match=r"The 2 channels of talk\.wav cancel \(antiphase\)"):
        audio.mono(wav, "talk.wav")
    audio.mono(torch.zeros(2, 400), "talk.wav")
    audio.mono(torch.zeros(2, 0), "talk.wav")


def test_one_channel_of_many_is_no_antiphase():
    wav = torch.zeros(16, 1600)
    wav[3] = tone()[0]
    torch.testing.assert_close(audio.mono(wav), tone() / 16)


@pytest.mark.parametrize(
    ("gain", "offset", "parts"),
    [
        (1.0, 0.0, []),
        (0.021, 0.0, []),
        (0.019, 0.0, [r"talk.wav is very quiet (peak -40 dB of full scale)"]),
        (1.0, 0.009, []),
        (1.0, -0.011, ["talk.wav has a DC offset of -0.0110 (RMS 0.3537)"]),
        (0.1, 0.003, []),
        (0.1, 0.004, ["talk.wav has a DC offset of 0.0040 (RMS 0.0356)"]),
        (0.01, 0.002, ["is very quiet (peak -43 dB", "DC offset of 0.0020"]),
    ],
)
def test_levels_that_change_units_get_a_warning(caplog, gain, offset, parts):
    wav = gain * tone(1.0) + offset
    audio.check_audible(wav, "talk.wav", 16000)
    assert len(caplog.messages) == len(parts)
    for message, part in zip(caplog.messages, parts, strict=True):
        assert part in message


def test_the_mean_of_a_short_wav_is_no_offset(caplog):
    short = torch.full((1, 7999), 0.02)
    audio.check_audible(short, "talk.wav", 16000)
    assert caplog.messages == []
    audio.check_audible(short, "talk.wav", 8000)
    assert len(caplog.messages) == 1


def test_warnings_of_one_kind_end(caplog):
    with caplog.at_level(logging.WARNING):
        for n in range(30):
            audio.check_audible(0.01 * tone(1.0), f"{n}.wav")
    assert len(caplog.messages) == 20
    assert caplog.messages[-1].endswith("Further warnings of this kind are left out.")


def test_silence_is_named():
    with pytest.raises(ValueError, match=r"talk\.wav is silent"):
        audio.check_audible(torch.full((1, 1600), 0.9e-4), "talk.wav")
