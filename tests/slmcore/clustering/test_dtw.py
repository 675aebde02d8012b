from __future__ import annotations

from itertools import product

import torch
from hypothesis import given
from hypothesis import strategies as st

from slmcore.clustering.dtw import align, total_cost


def paths(t: int, s: int) -> list[list[tuple[int, int]]]:
    """All paths from (0, 0) to (t, s)."""
    if (t, s) == (0, 0):
        return [[(0, 0)]]
    before = [(t - a, s - b) for a, b in product((0, 1), repeat=2) if (a, b) != (0, 0) and t >= a and s >= b]
    return [[*path, (t, s)] for at in before for path in paths(*at)]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000))
def test_the_path_is_the_cheapest(frames: int, others: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x, y = torch.randn(frames, 3, generator=draw), torch.randn(others, 3, generator=draw)
    costs = torch.cdist(x.double(), y.double())
    best = min(sum(float(costs[pair]) for pair in path) for path in paths(frames - 1, others - 1))
    assert abs(total_cost(x, y) - best) < 1e-9
    partners = align(x, y)
    assert partners.shape == (frames,)
    assert (partners.diff() >= 0).all() and 0 <= int(partners[0]) <= int(partners[-1]) < others


def test_a_slower_copy_is_followed() -> None:
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    slow = x.repeat_interleave(3, 0)
    assert align(slow, x).tolist() == torch.arange(20).repeat_interleave(3).tolist()
    assert align(x, slow).tolist() == list(range(1, 60, 3))
