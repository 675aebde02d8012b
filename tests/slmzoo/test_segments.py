from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ellav import EllaVTokenizer
from ellav.tokenizer import EOP
from slmcore.units import OperatingPoint, Units
from slmzoo.segments import codec_tokens, cut

POINT = OperatingPoint(zoo="tiny", k=6)
spans = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def units_of(durations: list[int], frame_rate: float = 50.0) -> Units:
    ids = torch.arange(len(durations)) % 6
    return Units(ids, torch.tensor(durations), frame_rate, POINT)


def test_a_unit_that_is_cut_is_in_both_stretches():
    units = Units(torch.tensor([5, 6, 7, 8]), torch.tensor([10, 10, 20, 5]), 50.0, POINT)
    first, second = cut(units, [(0, 0.3), (0.3, 0.9)])
    assert (first.units.tolist(), first.durations.tolist()) == ([5, 6], [10, 5])
    assert (second.units.tolist(), second.durations.tolist()) == ([6, 7, 8], [5, 20, 5])
    first, second = cut(units, [(0.1, 0.3), (0.5, 0.7)])  # with pauses before, between and behind
    assert (first.units.tolist(), first.durations.tolist()) == ([5, 6], [5, 5])
    assert (second.units.tolist(), second.durations.tolist()) == ([7], [10])
    assert all(s.operating_point == POINT for s in (first, second))


@given(spans, st.integers(1, 6))
def test_stretches_hold_all_frames_between_their_edges(durations, parts):
    units = units_of(durations)
    places = torch.linspace(0, units.seconds, min(parts, sum(durations)) + 1, dtype=torch.float64).tolist()
    made = cut(units, list(pairwise(places)))
    assert torch.equal(torch.cat([s.framewise() for s in made]), units.framewise())


def test_units_that_end_before_the_speech_are_refused():
    with pytest.raises(ValueError, match=r"ends at 2\.00 s, but is a sequence of 0\.90 s"):
        cut(units_of([10, 10, 20, 5]), [(0, 0.3), (1.5, 2.0)])


@given(spans, st.sampled_from([(50.0, 40.0), (50.0, 75.0), (50.0, 50.0), (25.0, 40.0), (100.0, 16.0)]))
def test_codec_tokens_are_those_of_training_sequences(durations, rates):
    units = units_of(durations, rates[0])
    tokenizer = EllaVTokenizer.for_units(6, 9, *rates)
    total = int(codec_tokens(units, rates[1]).sum())
    ids = tokenizer.encode_train([f"u{unit}" for unit in units.framewise().tolist()], [0] * total)
    body = ids[len(units) + 1 :]
    ends = (body == EOP).nonzero().flatten().tolist()
    assert len(ends) == len(units)
    edges = [0, *(end + 1 for end in ends)]
    counts = [int((body[a:b] >= tokenizer.first_codec).sum()) for a, b in zip(edges, ends, strict=False)]
    assert codec_tokens(units, rates[1]).tolist() == counts
    assert counts[0] >= 1
