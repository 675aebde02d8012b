from __future__ import annotations

import sys

import pytest
import torch

from dpdp import DPDPQuantizer, fallback, viterbi


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "dpdp.compiled", raising=False)
    monkeypatch.delattr("dpdp.compiled", raising=False)
    viterbi.loops.cache_clear()
    yield
    viterbi.loops.cache_clear()


def test_without_numba_the_quantizer_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(n, 16, generator=generator) for n in (60, 3, 25)]
    quantizer = DPDPQuantizer(torch.randn(30, 16, generator=generator), 9.0, 5)
    compiled = quantizer.segment(features)
    assert viterbi.loops() is not fallback, "this test is about the difference, and needs numba"
    request.getfixturevalue("without_numba")
    assert viterbi.loops() is fallback
    for a, b in zip(compiled, quantizer.segment(features), strict=True):
        assert torch.equal(a.units, b.units) and torch.equal(a.durations, b.durations)


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
