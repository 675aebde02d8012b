from __future__ import annotations

import sys

import pytest
import torch

from dpdp import DPDPQuantizer, fallback
from dpdp.viterbi import Loops, loops


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "dpdp.compiled", raising=False)
    monkeypatch.delattr("dpdp.compiled", raising=False)
    loops.cache_clear()
    yield
    loops.cache_clear()


def many(frames: int) -> tuple[list[torch.Tensor], DPDPQuantizer]:
    """Utterances of so many frames in all that numba pays, or does not."""
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(n, 16, generator=generator) for n in (60, 3, frames - 63)]
    return features, DPDPQuantizer(torch.randn(30, 16, generator=generator), 9.0, 5)


def test_without_numba_the_quantizer_gives_the_same(request: pytest.FixtureRequest) -> None:
    features, quantizer = many(1200)
    compiled = quantizer.segment(features)
    assert "dpdp.compiled" in sys.modules, "this test is about the difference, and needs numba"
    request.getfixturevalue("without_numba")
    assert loops() is fallback
    for a, b in zip(compiled, quantizer.segment(features), strict=True):
        assert torch.equal(a.units, b.units) and torch.equal(a.durations, b.durations)


def test_the_first_frames_do_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = loops()
    monkeypatch.delitem(sys.modules, "dpdp.compiled")
    choose = Loops(100)
    assert [choose(n) for n in (60, 40, 1, 1)] == [fallback, fallback, compiled, compiled]
    assert Loops(100)(101) is compiled


def test_loops_that_are_there_are_used_at_once() -> None:
    compiled = loops()
    assert compiled is not fallback and Loops(100)(1) is compiled


def test_threads_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(n, 16, generator=generator) for n in (300, 200, 100)]
    quantizer = DPDPQuantizer(torch.randn(30, 16, generator=generator), 9.0, 5)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(torch.cat([x.framewise() for x in quantizer.segment(features)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
