"""Encoders in the windows of a stream: as many frames as offline, and the same ones where they see little."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import soundstream
import speechtokenizer
from gslm.cpc import CPC, CPCConfig
from gslm.log_mel import LogMel
from slmcore.roles import Encoder
from slmzoo.first_level import FirstLevelEncoder
from slmzoo.streaming import FrameStream, Timing
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file, speechtokenizer_folder

WAV = torch.randn(1, 40_123, generator=torch.Generator().manual_seed(3)) * 0.1
RATE = 16_000


def encoded(encoder: Encoder, timing: Timing) -> torch.Tensor:
    stream = FrameStream(encoder, RATE, None, timing)
    parts = [features for chunk in WAV.split(777, 1) for features in stream.push(chunk)]
    return torch.cat([*parts, *stream.flush()])


def cpc() -> CPC:
    torch.manual_seed(0)
    return CPC(CPCConfig(channels=6, dim=8, layers=2)).eval()


def codec(name: str, folder: Path) -> FirstLevelEncoder:
    about = goldens.load(f"{name}_small")
    if name == "speechtokenizer":
        speechtokenizer_folder(folder / "elu", *about, "elu")
        return FirstLevelEncoder(speechtokenizer.load(folder / "elu" / "SpeechTokenizer.pt"))
    soundstream_file(folder / "soundstream.pt", *about, flat=True)
    return FirstLevelEncoder(soundstream.load(folder / "soundstream.pt", sample_rate=3000))


def test_log_mel_frames_are_those_of_the_whole() -> None:
    found, wanted = encoded(LogMel(), Timing(context=0.1, ahead=0.1)), LogMel().features(WAV, RATE)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_a_recurrent_encoder_is_streamed() -> None:
    found, wanted = encoded(cpc(), Timing(context=1.0, ahead=0.1)), cpc().features(WAV, RATE)
    assert found.shape == wanted.shape
    assert (found - wanted)[:100].abs().max() < 1e-4  # as long as no window begins later than the utterance


@pytest.mark.parametrize("name", ["speechtokenizer", "soundstream"])
def test_the_first_level_of_a_codec_is_streamed(name, tmp_path) -> None:
    encoder = codec(name, tmp_path)
    found, wanted = encoded(encoder, Timing(context=1.0, ahead=0.5, step=0.5)), encoder.features(WAV, RATE)
    assert found.shape == wanted.shape
    assert found.isfinite().all()
