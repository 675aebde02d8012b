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
from slmcore.units import Units
from slmzoo import hub
from slmzoo.first_level import FirstLevelEncoder
from slmzoo.pipeline import Pipeline
from slmzoo.streaming import FrameStream, Timing
from tests.reference import four_gslm, goldens, tiny_twist
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


@pytest.fixture(scope="module")
def zoos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {zoo.__name__: zoo.write(tmp_path_factory.mktemp("zoo")) for zoo in (four_gslm, tiny_twist)}


def loaded(zoos: dict[str, Path], features: str) -> Pipeline:
    """GSLM's pipeline of some features, or TWIST's."""
    zoo, module, k = ("tiny-twist", tiny_twist, None) if features == "twist" else ("four", four_gslm, four_gslm.K)
    variant = None if features == "twist" else features
    registry = zoos[module.__name__]
    return hub.pipeline(zoo=zoo, variant=variant, k=k, registry=registry, with_ulm=False, with_speech=False)


def streamed(pipeline: Pipeline, wav: torch.Tensor, sizes: list[int]) -> tuple[list[int], list[int]]:
    stream = pipeline.stream(RATE, Timing(context=0.2, step=0.2, ahead=0.1, wait=0.06))
    parts: list[Units] = [*(stream.push(chunk) for chunk in wav.split(sizes, 1)), stream.flush()]
    return [u for part in parts for u in part.units.tolist()], [d for part in parts for d in part.durations.tolist()]


@pytest.mark.parametrize("features", [*four_gslm.FEATURES, "twist"])
def test_any_chunking_of_gslm_and_twist_gives_the_same_units(zoos, features) -> None:
    pipeline = loaded(zoos, features)
    wav, rate = goldens.speech()
    wav = wav[:, 8000 : 8000 + 14_321]
    assert rate == RATE
    units, durations = whole = streamed(pipeline, wav, [wav.shape[1]])
    assert len(set(units)) > 3
    assert sum(durations) == int(pipeline.units(wav, rate).durations.sum())
    for sizes in ([1, 0, 4799, 9521], [777] * 18 + [335], [14_320, 1]):
        assert streamed(pipeline, wav, sizes) == whole
