from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpdp import naive, objective
from dpdp.blocks import blocks
from dpdp.viterbi import CpuSearch, loops
from tests.reference.dpdp_brute import all_optimal, limited, optimum, preferred
from tests.reference.dpdp_paths import PATHS, search

ALL_PATHS = pytest.mark.parametrize("path", sorted(PATHS))


@st.composite
def problems(draw: st.DrawFn, frames: int, codes: int, *, whole: bool) -> tuple[torch.Tensor, float, int]:
    """Distances, lambda and number of neighbours; whole numbers are exact in float32 and tie all the time."""
    t, k = draw(st.integers(1, frames)), draw(st.integers(1, codes))
    n = draw(st.integers(1, k))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if whole:
        costs = rng.integers(0, draw(st.sampled_from([1, 2, 5, 50])), (t, k)).astype(np.float32)
        lmbda = float(draw(st.integers(0, 6) | st.sampled_from([100, 10_000])))
    else:
        costs = rng.standard_normal((t, k), dtype=np.float32) * 10.0 ** draw(st.integers(-3, 4))
        lmbda = draw(st.sampled_from([0.0, 1e-3, 0.5, 2.0, 30.0, 1e3, 1e9]))
    return torch.from_numpy(costs), lmbda, n


@settings(max_examples=40, deadline=None)
@given(problem=problems(5, 4, whole=True))
def test_naive_is_the_preferred_of_all_optimal_paths(problem: tuple[torch.Tensor, float, int]) -> None:
    costs, lmbda, n = problem
    allowed = limited(costs.numpy(), n)
    lowest, paths = all_optimal(allowed, lmbda)
    units = naive(torch.from_numpy(allowed), lmbda)
    assert objective(torch.from_numpy(allowed), units, lmbda) == lowest
    assert tuple(units.tolist()) == preferred(paths, lmbda)


@ALL_PATHS
@settings(max_examples=40, deadline=None)
@given(problem=problems(60, 20, whole=True))
def test_equals_naive_also_in_ties(path: str, problem: tuple[torch.Tensor, float, int]) -> None:
    costs, lmbda, n = problem
    expected = naive(torch.from_numpy(limited(costs.numpy(), n)), lmbda)
    assert PATHS[path](costs, lmbda, n).tolist() == expected.tolist()


@ALL_PATHS
@settings(max_examples=30, deadline=None)
@given(problem=problems(200, 64, whole=False))
def test_reaches_the_optimum(path: str, problem: tuple[torch.Tensor, float, int]) -> None:
    costs, lmbda, n = problem
    allowed = limited(costs.numpy(), n)
    units = PATHS[path](costs, lmbda, n)
    value = objective(torch.from_numpy(allowed), units, lmbda)
    scale = costs.abs().double().gather(1, units[:, None]).sum() + lmbda * int((units[1:] == units[:-1]).sum())
    assert value <= optimum(allowed, lmbda) + 1e-6 * float(scale)


@settings(max_examples=30, deadline=None)
@given(problem=problems(100, 40, whole=False))
def test_all_paths_are_equal_to_the_bit(problem: tuple[torch.Tensor, float, int]) -> None:
    costs, lmbda, n = problem
    first, *others = (path(costs, lmbda, n).tolist() for path in PATHS.values())
    assert all(units == first for units in others)


@ALL_PATHS
@settings(max_examples=20, deadline=None)
@given(problem=problems(50, 30, whole=True))
def test_lambda_0_is_the_nearest_code(path: str, problem: tuple[torch.Tensor, float, int]) -> None:
    costs, _, n = problem
    assert PATHS[path](costs, 0.0, n).tolist() == costs.numpy().argmin(1).tolist()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_blocks_lambdas_and_neighbours_in_a_batch_change_nothing(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    costs = torch.from_numpy(np.random.default_rng(len(lengths)).integers(0, 9, (sum(lengths), 7)).astype(np.float32))
    lmbdas, n = [0.0, 3.0, 50.0], data.draw(st.integers(1, 7))
    found = search(partial(CpuSearch, loops=loops()), costs, lengths, lmbdas, n, data.draw(st.integers(1, 40)))
    for i, lmbda in enumerate(lmbdas):
        alone = [PATHS["without_numba"](part, lmbda, n) for part in costs.split(lengths)]
        assert found[i].tolist() == torch.cat(alone).tolist()


def test_blocks_cover_every_frame_once_in_order() -> None:
    cut = list(blocks([5, 1, 7], 4))
    assert [sum(len(piece) for piece in block) for block in cut] == [4, 4, 4, 1]
    frames = [(piece.utterance, t) for block in cut for piece in block for t in range(piece.first, piece.last)]
    assert frames == [(u, t) for u, length in enumerate([5, 1, 7]) for t in range(length)]


@pytest.mark.parametrize(
    "values", [[3.0, 1.0, 1.0, 1.0, 0.0], [0.0, -0.0, 0.0, -0.0, 5.0], [1e38, -1e38, 1e-45, 0.0, 1e38]]
)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("path", ["cpu", "without_numba"])
def test_a_tie_for_the_last_neighbour_goes_to_the_lower_index(path: str, n: int, values: list[float]) -> None:
    costs = torch.tensor([values])
    # A second frame on which only one code is good, with so large a weight that both frames take one code if they may.
    for code in range(5):
        both = torch.cat([costs, torch.full((1, 5), 1.6e38).index_fill(1, torch.tensor([code]), -1.6e38)])
        may = bool(np.isfinite(limited(costs.numpy(), n)[0, code]))
        units = PATHS[path](both, 1e38, n)
        assert (units[0] == code) == may or (may and n > 1)
