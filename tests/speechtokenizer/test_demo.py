"""The demo's SpeechTokenizer on the example, as its users load it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import hubconf
from slmcore import audio
from slmcore.layers.spectral import SpectralLoss
from slmzoo.cli import main

ZOO = "demo-speechtokenizer"
SAMPLE = Path(__file__).parents[2] / "examples" / "sample.wav"


@pytest.fixture(scope="module")
def codec():
    return hubconf.speechtokenizer(zoo=ZOO)


@pytest.fixture(scope="module")
def speech():
    return audio.load(SAMPLE)


def test_each_level_brings_the_copy_nearer(codec, speech):
    wav, _ = speech
    codes = codec.encode_wav(*speech)
    assert (codes.codebook_size, codes.frame_rate, len(codes.codes)) == (512, 50.0, 8)
    distance = SpectralLoss(codec.sample_rate)
    errors = []
    for levels in (1, 2, 4, 8):
        copy = codec.decode_codes(codes.levels(levels))[:, : wav.shape[1]]
        errors.append(float(sum(distance(copy, wav[:, : copy.shape[1]]))))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * float(sum(distance(torch.zeros_like(wav), wav)))


def test_codes_are_spread_over_each_codebook(codec, speech):
    assert all(len(level.unique()) > len(level) / 4 for level in codec.encode_wav(*speech).codes)


def test_units_are_the_codes_of_the_first_level(codec, speech):
    pipeline = hubconf.pipeline(zoo=ZOO)
    units = pipeline.units(*speech)
    assert (pipeline.k, units.frame_rate) == (512, 50.0)
    assert torch.equal(units.framewise(), codec.encode_wav(*speech).codes[0])
    copy = pipeline.resynthesize(*speech)[0]
    assert abs(copy.wav.shape[1] / copy.sample_rate - speech[0].shape[1] / speech[1]) < 0.021


def test_convert_voice_keeps_the_first_level_of_the_content(codec, speech, tmp_path):
    wav, rate = speech
    voice = tmp_path / "voice.wav"
    audio.write(voice, audio.resample(wav, rate, round(rate * 1.1)), rate)
    command = ["convert-voice", str(SAMPLE), "--like", str(voice), "--zoo", ZOO, "--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    made, expected = (
        audio.load(tmp_path / "out" / "sample.wav"),
        codec.convert(codec.encode_wav(wav, rate), codec.encode_wav(*audio.load(voice))),
    )
    assert made[1] == codec.sample_rate
    assert torch.allclose(made[0], expected.clamp(-1, 1), atol=2 / 2**15)
