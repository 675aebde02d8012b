from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpdp import DPDPQuantizer
from slmcore import audio
from slmcore.units import Units
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from slmzoo.streaming import FrameStream, Timing, UnitStream
from tests.reference import tiny_gslm, tiny_twist
from tests.toy_system.parts import HOP, RATE, BandEncoder, LoudestBand, SampleCodec

EXACT = Timing(wait=None, context=0.1)


def tones(seconds: float, seed: int = 0, rate: int = RATE) -> torch.Tensor:
    """Tones that change every tenth of a second, with noise: (1, samples)."""
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * rate)
    bands = torch.randint(4, (samples // (rate // 10) + 1,), generator=generator)
    hertz = bands.repeat_interleave(rate // 10)[:samples] * 1000.0 + 500
    noise = torch.randn(samples, generator=generator)
    return ((torch.arange(samples) * hertz * 2 * torch.pi / rate).sin() * 0.4 + 0.05 * noise)[None]


def toy(lmbda: float = 3.0) -> tuple[BandEncoder, DPDPQuantizer]:
    """An encoder whose frames see nothing but themselves, under DPDP."""
    codes = torch.eye(4) * 4 - 3
    return BandEncoder(4), DPDPQuantizer(codes, lmbda, frame_rate=RATE / HOP)


def joined(parts: list[Units]) -> tuple[list[int], list[int]]:
    return [u for part in parts for u in part.units.tolist()], [d for part in parts for d in part.durations.tolist()]


def streamed(stream: UnitStream, wav: torch.Tensor, sizes: list[int]) -> tuple[list[int], list[int]]:
    return joined([*(stream.push(chunk) for chunk in wav.split(sizes, 1)), stream.flush()])


def values(units: Units) -> tuple[list[int], list[int]]:
    return units.units.tolist(), units.durations.tolist()


@st.composite
def sizes(draw: st.DrawFn, total: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, total), max_size=10)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_an_encoder_of_single_frames_gives_the_offline_units(data: st.DataObject) -> None:
    encoder, quantizer = toy(data.draw(st.sampled_from([0.0, 3.0, 40.0])))
    wav = tones(data.draw(st.floats(0.03, 2.5)), seed=data.draw(st.integers(0, 9)))
    stream = UnitStream(encoder, quantizer, RATE, EXACT)
    offline = values(quantizer.segment(encoder.features(wav, RATE)))
    assert streamed(stream, wav, data.draw(sizes(wav.shape[1]))) == offline


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_units(pipeline: Pipeline, speech: tuple[torch.Tensor, int], data) -> None:
    wav, rate = speech
    wav = wav[:, : rate * 3 // 2]
    timing = Timing(context=0.4, step=0.2, ahead=0.1, wait=0.06)
    whole = streamed(pipeline.stream(rate, timing), wav, [wav.shape[1]])
    assert streamed(pipeline.stream(rate, timing), wav, data.draw(sizes(wav.shape[1]))) == whole
    assert sum(whole[1]) == pipeline.units(wav, rate).durations.sum()


def test_windows_as_long_as_the_utterance_give_the_offline_units(pipeline, speech) -> None:
    wav, rate = speech
    stream = pipeline.stream(rate, Timing(step=wav.shape[1] / rate + 1, wait=None))
    assert streamed(stream, wav, [wav.shape[1]]) == values(pipeline.units(wav, rate))


def test_features_are_those_of_the_windows(pipeline, speech) -> None:
    wav, rate = speech
    stream = FrameStream(pipeline.encoder, rate, 3, Timing(step=0.2, ahead=0.1, context=0.3))
    found = torch.cat([*stream.push(wav), *stream.flush()])
    at = 0.02 * rate
    window = wav[:, round(5 * at) : round(35 * at)]  # frames 20 to 30, with 15 before and 5 behind
    torch.testing.assert_close(found[20:30], pipeline.encoder.features(window, rate, 3)[15:25])
    assert len(found) == len(pipeline.encoder.features(wav, rate, 3))


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 44099])
def test_every_rate_gives_as_many_frames_as_offline(pipeline, rate) -> None:
    wav = tones(0.9, rate=rate)
    stream = pipeline.stream(rate, Timing(context=0.2))
    _, durations = streamed(stream, wav, [wav.shape[1]])
    assert abs(sum(durations) - int(pipeline.units(wav, rate).durations.sum())) <= (rate == 44099)


@pytest.mark.parametrize("zoo", [tiny_gslm, tiny_twist])
def test_other_systems_are_streamed(tmp_path, speech, zoo) -> None:
    registry = zoo.write(tmp_path)
    name = {tiny_gslm: "tiny-gslm", tiny_twist: "tiny-twist"}[zoo]
    pipeline = hub.pipeline(zoo=name, registry=registry, with_ulm=False, with_speech=False)
    wav, rate = speech
    stream = pipeline.stream(rate)
    _, durations = streamed(stream, wav, [9000, wav.shape[1] - 9000])
    assert sum(durations) == int(pipeline.units(wav, rate).durations.sum())
    assert stream.current.frame_rate == pipeline.frame_rate


def test_units_come_within_the_delay_and_the_current_one_grows(pipeline, speech) -> None:
    wav, rate = speech
    stream = pipeline.stream(rate, Timing(step=0.1, ahead=0.1, wait=0.1, context=0.5))
    assert stream.timing.delay == pytest.approx(0.3)
    decided = 0
    for end in range(800, wav.shape[1], 800):
        decided += int(stream.push(wav[:, end - 800 : end]).durations.sum())
        shown = decided + int(stream.current.durations.sum())
        assert shown >= math.floor((end / rate - 0.3) * 50)
        assert len(stream.current) <= 1


def test_neighbouring_units_differ_across_pushes(pipeline, speech) -> None:
    wav, rate = speech
    units, _ = streamed(pipeline.stream(rate), wav, [400] * (wav.shape[1] // 400) + [wav.shape[1] % 400])
    assert all(a != b for a, b in pairwise(units))


def test_memory_is_bounded() -> None:
    encoder, quantizer = toy()
    stream = UnitStream(encoder, quantizer, RATE, Timing(context=0.5, step=0.1, ahead=0.1))
    most = 0
    for _ in range(60):
        stream.push(tones(0.05))
        most = max(most, stream.kept)
    assert most <= (0.5 + 0.1 + 0.1 + 0.05) * RATE


def test_a_second_utterance_begins_anew(pipeline, speech) -> None:
    wav, rate = speech
    stream = pipeline.stream(rate)
    first = streamed(stream, wav, [wav.shape[1]])
    assert stream.kept == len(stream.current) == 0
    assert streamed(stream, wav, [wav.shape[1]]) == first


def test_two_streams_of_one_pipeline_do_not_disturb_each_other(pipeline, speech) -> None:
    wav, rate = speech
    alone = streamed(pipeline.stream(rate), wav, [wav.shape[1]])
    one, other, found = pipeline.stream(rate), pipeline.stream(rate), []
    for chunk in wav.split(3000, 1):
        found.append(one.push(chunk))
        other.push(chunk.flip(1))
    assert joined([*found, one.flush()]) == alone


def test_channels_are_averaged(pipeline, speech) -> None:
    wav, rate = speech
    both = torch.cat([wav * 1.5, wav * 0.5])
    assert values(pipeline.stream(rate).push(both)) == values(pipeline.stream(rate).push(wav[0]))


def test_nothing_gives_no_units_and_too_little_is_refused(pipeline) -> None:
    stream = pipeline.stream(16000)
    assert len(stream.flush()) == len(stream.push(torch.zeros(0))) == 0
    stream.push(torch.zeros(100))
    with pytest.raises(ValueError, match="320 samples"):
        stream.flush()
    assert stream.kept == 0


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (torch.tensor([0.0, math.nan]), "finite"),
        (torch.tensor([[0.0], [math.inf]]), "finite"),
        (torch.zeros(4, dtype=torch.int16), "a float tensor"),
        (torch.zeros(1, 1, 4), "a float tensor"),
        (torch.zeros(0, 4), "a float tensor"),
        ([0.0, 1.0], "a float tensor"),
    ],
)
def test_wrong_chunks_are_refused_and_leave_the_stream_as_it_was(pipeline, speech, chunk, reason) -> None:
    wav, rate = speech
    stream = pipeline.stream(rate)
    first = stream.push(wav[:, :9000])
    with pytest.raises(ValueError, match=reason):
        stream.push(chunk)
    assert joined([first, stream.push(wav[:, 9000:]), stream.flush()]) == streamed(
        pipeline.stream(rate), wav, [wav.shape[1]]
    )


@pytest.mark.parametrize("wrong", [{"step": 0}, {"ahead": -1}, {"context": math.inf}, {"wait": "a"}, {"step": True}])
def test_wrong_timings_are_refused(wrong) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be a number of seconds"):
        Timing(**wrong)


def test_an_unbounded_search_has_an_infinite_delay() -> None:
    assert Timing(wait=None).delay == math.inf


class WholeOnly(BandEncoder):
    """Four features, however long the utterance is."""

    def features(self, wav, sr, layer=None):
        return super().features(wav, sr, layer)[:4]


class LateFrames(BandEncoder):
    """Frames that see one more behind them."""

    def features(self, wav, sr, layer=None):
        return super().features(wav, sr, layer)[:-2]


def test_what_cannot_be_streamed_is_named() -> None:
    encoder, quantizer = toy()
    with pytest.raises(ValueError, match=r"WholeOnly cannot be streamed in windows: .* give 4 features"):
        UnitStream(WholeOnly(4), quantizer, RATE)
    with pytest.raises(ValueError, match="LoudestBand cannot be streamed"):
        UnitStream(encoder, LoudestBand(4, 2.0), RATE)
    with pytest.raises(ValueError, match="no encoder"):
        Pipeline(codec=SampleCodec(2)).stream(RATE)


def test_an_encoder_that_looks_ahead_needs_as_much() -> None:
    _, quantizer = toy()
    wav = tones(1.0)
    with pytest.raises(ValueError, match="`ahead` must be longer for LateFrames"):
        UnitStream(LateFrames(4), quantizer, RATE, Timing(ahead=0.025))
    stream = UnitStream(LateFrames(4), quantizer, RATE, Timing(ahead=0.05, wait=None))
    assert streamed(stream, wav, [8000]) == values(quantizer.segment(LateFrames(4).features(wav, RATE)))


def test_the_sample_of_the_examples_is_streamed_by_the_demo() -> None:
    pipeline = hub.pipeline(zoo="demo", with_ulm=False, with_speech=False)
    wav, rate = audio.load("examples/sample.wav")
    units, durations = streamed(pipeline.stream(rate), wav, [wav.shape[1]])
    offline = pipeline.units(wav, rate).framewise()
    online = torch.tensor(units).repeat_interleave(torch.tensor(durations))
    assert (online == offline).double().mean() > 0.9
