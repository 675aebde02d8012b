from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from slmzoo.training.data.acoustics import in_a_room, through_a_channel, with_background
from slmzoo.training.loop.task import generator


def decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)


def tone(hertz: float, samples: int = 16_000) -> Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(samples) / 16_000)


def test_a_room_keeps_the_direct_sound_and_its_reverberation_dies_away():
    impulse, ratios, draw = torch.zeros(16_000), [], generator(0, 0)
    impulse[100] = 1
    for _ in range(50):
        degraded = in_a_room(impulse, draw)
        assert degraded.shape == impulse.shape
        assert degraded[:100].abs().max() < 1e-5
        assert degraded[100] == pytest.approx(1, abs=1e-4)
        tail = degraded[101:]
        ratios.append(-decibels(float(tail.norm())))
        assert tail[9600:].abs().max() < 1e-4
        first, late = tail[:800].norm(), tail[800:1600].norm()
        assert late < 0.9 * first
    assert -0.1 < min(ratios) < 2
    assert 13 < max(ratios) < 15.1


def test_a_channel_changes_the_colour_and_telephones_lose_low_and_high_sounds():
    draw, low, middle = generator(1, 0), [], []
    for _ in range(200):
        degraded = through_a_channel(tone(100) + tone(1000) + tone(7000), draw)
        low.append(decibels(float(degraded @ tone(100)) / 8000))
        middle.append(decibels(float(degraded @ tone(1000)) / 8000))
    telephones = [gain < -30 for gain in low]
    assert 0.23 < sum(telephones) / 200 < 0.43
    assert 3 < torch.tensor(middle).std() < 6
    assert abs(sum(middle) / 200) < 1.5


@pytest.mark.parametrize("samples", [1, 3000, 16_000, 40_000])
def test_the_background_lies_three_to_twenty_decibels_below(samples: int):
    draw, ratios = generator(2, 0), []
    speech, other = tone(440), 7 * tone(1230, samples) + 0.1
    for _ in range(100):
        degraded = with_background(speech, other, draw)
        assert degraded.shape == speech.shape
        ratios.append(decibels(float(speech.norm() / (degraded - speech).norm())))
    assert 2.9 < min(ratios) < 5
    assert 18 < max(ratios) < 20.1


def test_silence_stays_silence_and_does_not_become_nan():
    silence, draw = torch.zeros(800), generator(3, 0)
    for made in (in_a_room(silence, draw), through_a_channel(silence, draw), with_background(silence, silence, draw)):
        assert not made.any()
