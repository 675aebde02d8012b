"""Cuts of long speech."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.pauses import pauses


def tone(seconds: float, sr: int = 16000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * 220 * torch.arange(round(seconds * sr)) / sr)[None]


@settings(max_examples=50, deadline=None)
@given(samples=st.integers(0, 20000), longest=st.floats(1, 5), seed=st.integers(0, 5))
def test_pieces_are_never_too_long(samples, longest, seed):
    wav = torch.rand(1, samples, generator=torch.Generator().manual_seed(seed))
    cuts = pauses(wav, 1000, longest)
    edges = [0, *cuts, samples]
    pieces = [b - a for a, b in pairwise(edges)]
    assert max(pieces) <= longest * 1000
    assert len(cuts) == 0 or min(pieces) >= int(longest * 1000) // 4
    assert bool(cuts) == (samples > int(longest * 1000))


def test_a_cut_is_in_the_pause():
    wav = tone(10.0)
    wav[:, 60000:64000] = 0
    wav[:, 130000:134000] = 0
    first, second = pauses(wav, 16000, 5.0)
    assert 60000 < first < 64000
    assert 130000 < second < 134000
    with pytest.raises(ValueError, match="`longest_seconds` must be"):
        pauses(wav, 16000, 0)
