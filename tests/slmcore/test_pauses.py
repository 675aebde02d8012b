"""Cuts of long speech."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.pauses import pauses, stretches

SR = 1000


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, samples, generator=torch.Generator().manual_seed(seed))


def tone(seconds: float, sr: int = 16000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * 220 * torch.arange(round(seconds * sr)) / sr)[None]


def speech(lengths: list[tuple[int, int]], floor: float) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Words (ms of sound, ms of pause behind it) over noise of `floor`, and each one's place."""
    wav, words, at = [], [], 0
    for loud, quiet in lengths:
        wav += [torch.ones(loud), torch.zeros(quiet)]
        words.append((at, at + loud))
        at += loud + quiet
    return 0.3 * noise(at) * (torch.cat(wav)[None] + floor), words


@given(samples=st.integers(0, 20000), longest=st.floats(1, 5), seed=st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_segments_are_neither_too_long_nor_too_short(samples, longest, seed):
    cuts = pauses(noise(samples, seed), SR, longest)
    segments = [b - a for a, b in pairwise([0, *cuts, samples])]
    assert max(segments) <= longest * SR
    assert len(cuts) == 0 or min(segments) >= int(min(0.5, longest / 4) * SR)
    assert bool(cuts) == (samples > int(longest * SR))


@given(
    st.lists(st.tuples(st.integers(600, 2500), st.integers(250, 900)), min_size=3, max_size=15),
    st.sampled_from([0.0, 1e-3, 0.05]),
)
@settings(max_examples=60, deadline=None)
def test_no_word_is_cut_where_a_pause_can_be(lengths, floor):
    wav, words = speech(lengths, floor)
    cuts = pauses(wav, SR, 3.5)
    for cut in cuts:
        assert not any(start + 20 <= cut < end - 20 for start, end in words)


def test_a_short_first_sentence_is_cut_off_where_the_next_has_no_pause():
    wav, _ = speech([(600, 400), (3300, 300)], 1e-3)
    (cut,) = pauses(wav, SR, 4.0)
    assert 600 < cut < 1000


def test_cuts_are_few_and_lie_in_the_longest_pauses():
    wav, _ = speech([(900, 300)] * 20, 1e-3)  # 24 s
    assert len(pauses(wav, SR, 5.0)) == 4  # four words last 4.8 s
    wav, _ = speech([(900, 300), (900, 900), (900, 300), (900, 300)], 1e-3)
    (cut,) = pauses(wav, SR, 4.0)
    assert 2100 < cut < 3000


def test_segments_of_unusual_length_are_made_only_to_spare_a_word():
    wav, _ = speech(
        [(900, 300), (900, 300), (2700, 300), (900, 300), (900, 300)], 1e-3
    )  # ends: 1.2, 2.4, 5.4, 6.6, 7.8
    assert len(pauses(wav, SR, 4.0)) == 2
    cuts = pauses(wav, SR, 4.0, 2.0)
    assert [cut // 600 for cut in cuts] == [1, 3, 8, 10]
    assert max(b - a for a, b in pairwise([0, *cuts, 7800])) > 2700


@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_without_a_pause_the_cut_is_in_the_quietest_place(floor):
    wav = tone(6.0) + floor * noise(96000)
    wav[:, 44000:46000] *= 0.5  # too short and too loud for a pause
    wav[:, 60000:62000] *= 0.7
    (cut,) = pauses(wav, 16000, 5.0)
    assert 44000 < cut < 46000


def test_a_closure_is_no_pause():
    wav, _ = speech([(1500, 120), (1200, 260), (1900, 300)], 1e-3)
    (cut,) = pauses(wav, SR, 4.0)
    assert 2820 < cut < 3080


def test_pauses_are_found_at_every_level_of_a_recording():
    loud, _ = speech([(1500, 300)] * 14, 0.02)
    wav = torch.cat([loud, 0.03 * loud], 1)  # its second half: whole words are quieter than the first half's noise
    cuts = pauses(wav, SR, 2.5)
    assert len(cuts) == 27
    assert all(cut % 1800 >= 1500 for cut in cuts)


def test_a_long_silence_is_cut_too():
    wav, _ = speech([(1000, 9000), (1000, 0)], 0.0)
    cuts = pauses(wav, SR, 3.0)
    assert max(b - a for a, b in pairwise([0, *cuts, wav.shape[1]])) <= 3000
    assert all(1000 <= cut <= 10000 for cut in cuts)


def test_a_cut_is_in_the_pause():
    wav = tone(10.0)
    wav[:, 60000:64000] = 0
    wav[:, 130000:134000] = 0
    first, second = pauses(wav, 16000, 5.0)
    assert 60000 < first < 64000
    assert 130000 < second < 134000
    with pytest.raises(ValueError, match="`longest_seconds` must be"):
        pauses(wav, 16000, 0)


def test_short_speech_is_one_stretch():
    wav, _ = speech([(1000, 1500), (1400, 0)], 1e-3)
    assert stretches(wav, SR, 4.0) == [(0, 3900)]
    assert len(stretches(wav, SR, 3.8)) == 2


def test_long_pauses_belong_to_no_stretch():
    wav, words = speech([(0, 3000), (1000, 1500), (1200, 400), (2000, 1200), (900, 2500)], 1e-3)
    found = stretches(wav, SR, 4.5)
    assert len(found) == 3
    for (a, b), (first, last) in zip(found, [(1, 1), (2, 3), (4, 4)], strict=True):
        assert words[first][0] - 250 - 30 <= a <= words[first][0] - 250 + 30
        assert words[last][1] + 250 - 30 <= b <= words[last][1] + 250 + 30


@given(
    st.lists(st.tuples(st.integers(300, 3000), st.integers(250, 4000)), min_size=1, max_size=12),
    st.sampled_from([0.0, 1e-3, 0.02]),
    st.sampled_from([3.5, 6.0]),
)
@settings(max_examples=60, deadline=None)
def test_stretches_hold_every_word_and_never_overlap(lengths, floor, longest):
    wav, words = speech(lengths, floor)
    found = stretches(wav, SR, longest)
    assert all(a < b <= a + longest * SR for a, b in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    spoken = torch.zeros(wav.shape[1], dtype=torch.bool)
    for a, b in found:
        spoken[a:b] = True
    for start, end in words:
        assert bool(spoken[start + 20 : end - 20].all())
