from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpdp import DPDPQuantizer, OnlineDPDP, objective
from dpdp.online import OnlineSearch
from tests.reference.dpdp_paths import cpu


def problem(frames: int, k: int, seed: int = 0) -> torch.Tensor:
    """Distances that hold on to a code for a while, as speech does."""
    generator = torch.Generator().manual_seed(seed)
    costs = torch.rand(frames, k, generator=generator) * 10
    held = torch.randint(k, (frames // 6 + 1,), generator=generator).repeat_interleave(6)[:frames]
    return costs - 5 * torch.nn.functional.one_hot(held, k)


def stream(search: OnlineSearch, costs: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    return [*(search.push(part) for part in costs.split(sizes)), search.flush()]


@st.composite
def splits(draw: st.DrawFn, frames: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, frames), max_size=8)))
    return [b - a for a, b in zip([0, *cuts], [*cuts, frames], strict=True)]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_split_gives_the_offline_result(data: st.DataObject) -> None:
    frames, k = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 12))
    n, lmbda = data.draw(st.integers(1, k)), data.draw(st.sampled_from([0.0, 1.0, 4.0, 30.0, 1e6]))
    costs = problem(frames, k, seed=frames).round() if data.draw(st.booleans()) else problem(frames, k, seed=frames)
    sizes = [size for size in data.draw(splits(frames)) if size]
    parts = stream(OnlineSearch(k, lmbda, n), costs, sizes)
    assert torch.cat(parts).tolist() == cpu(costs, lmbda, n).tolist()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_was_returned_holds_whatever_comes(data: st.DataObject) -> None:
    k, lmbda = 5, data.draw(st.sampled_from([0.0, 2.0, 8.0]))
    known = problem(30, k, seed=data.draw(st.integers(0, 50)))
    decided = OnlineSearch(k, lmbda, k).push(known)
    pulls = torch.eye(k).logical_not() * 1e3  # futures that pull towards each code
    paths = [cpu(torch.cat([known, row.expand(50, k)]), lmbda, k)[: len(known)].tolist() for row in pulls]
    paths.append(cpu(known, lmbda, k).tolist())
    assert {tuple(path[: len(decided)]) for path in paths} == {tuple(decided.tolist())}
    if len(decided) < len(known):
        assert len({path[len(decided)] for path in paths}) > 1, "one more could have been returned"


def test_units_come_while_the_stream_runs() -> None:
    costs = problem(600, 20)
    search = OnlineSearch(20, 6.0, 20)
    waits, given = [], 0
    for t, row in enumerate(costs.split(1)):
        given += len(search.push(row))
        waits.append(t + 1 - given)
    assert given > 550 and max(waits) < 60


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_max_delay_bounds_the_wait_for_any_split(data: st.DataObject) -> None:
    frames, delay = 60, data.draw(st.integers(0, 20))
    costs = problem(frames, 6, seed=data.draw(st.integers(0, 99)))
    search, given_so_far, seen = OnlineSearch(6, 12.0, 4, delay), 0, 0
    units = []
    for size in data.draw(splits(frames)):
        if size == 0:
            continue
        units.append(search.push(costs[seen : seen + size]))
        seen += size
        given_so_far += len(units[-1])
        assert seen - given_so_far <= delay
    units.append(search.flush())
    by_one = torch.cat(stream(OnlineSearch(6, 12.0, 4, delay), costs, [1] * frames))
    assert torch.cat(units).tolist() == by_one.tolist()


def test_the_price_of_max_delay_falls_to_nothing() -> None:
    costs = problem(800, 20)
    best = objective(costs, cpu(costs, 8.0, 20), 8.0)
    over = [
        objective(costs, torch.cat(stream(OnlineSearch(20, 8.0, 20, delay), costs, [10] * 80)), 8.0) - best
        for delay in (0, 3, 10, 30, 800)
    ]
    assert over[0] > over[2] >= over[3] >= over[4] == 0
    assert over[2] <= 0.05 * abs(best)


def test_from_features_with_neighbours() -> None:
    generator = torch.Generator().manual_seed(0)
    codebook, features = torch.randn(30, 8, generator=generator), torch.randn(200, 8, generator=generator)
    online, quantizer = OnlineDPDP(codebook, 5.0, 6), DPDPQuantizer(codebook, 5.0, 6)
    for _ in range(2):  # flush begins anew
        parts = [online.push(part.half().float()) for part in features.split(33)]
        assert len(online.push(features[:0])) == 0
        units = torch.cat([*parts, online.flush()])
        assert torch.equal(units, quantizer(features.half().float())[1])
    assert len(online.flush()) == 0


def test_a_wrong_push_leaves_the_stream_as_it_was() -> None:
    generator = torch.Generator().manual_seed(0)
    codebook, features = torch.randn(10, 8, generator=generator), torch.randn(40, 8, generator=generator)
    online = OnlineDPDP(codebook, 5.0)
    first = online.push(features[:20])
    for wrong in (torch.full((3, 8), torch.nan), torch.zeros(3, 7), torch.full((3, 8), 1e30)):
        with pytest.raises(ValueError, match="`features` must be"):
            online.push(wrong)
    units = torch.cat([first, online.push(features[20:]), online.flush()])
    assert torch.equal(units, DPDPQuantizer(codebook, 5.0)(features)[1])


@pytest.mark.parametrize("delay", [-1, 1.5])
def test_wrong_max_delay(delay: float) -> None:
    with pytest.raises(ValueError, match="`max_delay` must be None or a number of frames >= 0"):
        OnlineDPDP(torch.zeros(2, 2), 1.0, max_delay=delay)
