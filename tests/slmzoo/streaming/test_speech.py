from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.speech import Speech
from slmcore.units import OperatingPoint, Units
from slmzoo.pipeline import Pipeline
from slmzoo.streaming import SpeechStream
from tests.toy_system.parts import HOP, RATE, Tones

POINT = OperatingPoint(zoo="toy", k=4, lmbda=2.0)
FRAMES = RATE / HOP


def units(pairs: list[tuple[int, int]]) -> Units:
    return Units(torch.tensor([u for u, _ in pairs]), torch.tensor([d for _, d in pairs]), FRAMES, POINT)


def spoken(stream: SpeechStream, pairs: list[tuple[int, int]], at_once: int) -> list[Speech]:
    calls = [pairs[i : i + at_once] for i in range(0, len(pairs), at_once)]
    return [*(speech for part in calls for speech in stream.push(units(part))), *stream.flush()]


@settings(max_examples=30, deadline=None)
@given(
    durations=st.lists(st.integers(1, 100), min_size=1, max_size=30),
    at_once=st.integers(1, 8),
    seconds=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_all_units_are_spoken_in_segments_of_bounded_length(durations, at_once, seconds) -> None:
    pairs = [(i % 4, lasts) for i, lasts in enumerate(durations)]
    found = spoken(SpeechStream(Tones(4, POINT), seconds=seconds), pairs, at_once)
    again = spoken(SpeechStream(Tones(4, POINT), seconds=seconds), pairs, 30)
    assert [speech.wav.tolist() for speech in found] == [speech.wav.tolist() for speech in again]
    assert sum(int(speech.durations.sum()) for speech in found) == sum(durations)
    assert all(speech.seconds < 2 * seconds for speech in found)
    assert all(speech.seconds >= 0.4 * seconds for speech in found[:-1])


def test_a_segment_ends_behind_the_longest_unit_of_its_later_half() -> None:
    stream = SpeechStream(Tones(4, POINT), seconds=0.5)  # 20 frames
    pairs = [(0, 9), (1, 3), (2, 5), (3, 2), (0, 4)]
    (first,) = stream.push(units(pairs))
    assert first.durations.tolist() == [9, 3, 5]
    assert stream.waiting == pytest.approx(6 / FRAMES)
    assert [speech.durations.tolist() for speech in stream.flush()] == [[2, 4]]
    assert stream.waiting == 0


def test_the_first_segment_comes_before_the_last_units_are_there() -> None:
    stream = SpeechStream(Tones(4, POINT), seconds=0.25)
    found = [len(stream.push(units([(i % 4, 4)]))) for i in range(10)]
    assert found[2] == 1
    assert sum(found) >= 3


def test_an_acoustic_model_keeps_the_durations(pipeline: Pipeline, speech) -> None:
    wav, rate = speech
    found = pipeline.units(wav[:, : 2 * rate], rate)
    stream = pipeline.speech_stream(seconds=0.5, seed=3, top_p=0.5)
    segments = [*stream.push(found), *stream.flush()]
    assert len(segments) >= 3
    assert sum(s.wanted_seconds or 0 for s in segments) == pytest.approx(found.seconds)
    same = pipeline.speech_stream(seconds=0.5, seed=3, top_p=0.5).push(found)
    assert segments[1].codes.equal(same[1].codes)


def test_wrong_options_are_refused_before_anything_is_spoken(pipeline: Pipeline) -> None:
    with pytest.raises(ValueError, match="`speaker` must be left out"):
        pipeline.speech_stream(speaker=1)
    with pytest.raises(ValueError, match="`seconds` must be above 0 and at most 10"):
        SpeechStream(Tones(4, POINT), seconds=10.1)
    with pytest.raises(ValueError, match="`seconds` must be above 0"):
        SpeechStream(Tones(4, POINT), seconds=0)


def test_the_example_of_the_docs_runs() -> None:
    page = Path(__file__).parents[3] / "docs" / "streaming.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    names: dict = {}
    exec(compile(code, "streaming.md", "exec"), names)
    assert len(names["units"]) > 0
    assert names["speech"][-1].seconds > 0
