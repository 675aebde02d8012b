from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmzoo.evaluation.likelihood.ngrams import KneserNey

UNITS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=5)


@given(UNITS, st.integers(1, 4), st.tuples(*[st.integers(-1, 3)] * 3))
def test_probabilities_are_a_distribution_after_any_context(
    sequences: list[list[int]], order: int, before: tuple[int, ...]
) -> None:
    model = KneserNey(sequences, 4, order)
    context = before[: order - 1]
    values = [model.probability((*context, unit)) for unit in range(4)]
    assert all(value > 0 for value in values)
    assert sum(values) == pytest.approx(1)


def test_a_case_by_hand() -> None:
    # Bigrams: (start, 0) twice, (0, 1) twice, (1, 0) once. Contexts of 0: start and 1; of 1: 0 only.
    model = KneserNey([[0, 1, 0], [0, 1]], k=2, order=2, discount=0.5)
    zero, one = (1.5 + 1.0 * 0.5) / 3, (0.5 + 1.0 * 0.5) / 3
    assert model.probability((0,)) == pytest.approx(zero)
    assert model.probability((1,)) == pytest.approx(one)
    assert model.probability((0, 1)) == pytest.approx((2 - 0.5 + 0.5 * one) / 2)
    assert model.probability((1, 0)) == pytest.approx(0.5 + 0.5 * zero)
    first = (2 - 0.5 + 0.5 * zero) / 2
    assert model.bits([0, 1]) == pytest.approx(-math.log2(first) - math.log2(model.probability((0, 1))))


def test_more_context_helps_where_there_is_some() -> None:
    turning = [[0, 1, 2, 3] * 10, [3, 2, 1, 0] * 10]
    bits = [KneserNey(turning, 4, order).bits([0, 1, 2, 3] * 5) for order in (1, 2, 3)]
    assert bits[0] > bits[1] > bits[2]


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match=r"units in 0\.\.3"):
        KneserNey([[4]], 4)
    with pytest.raises(ValueError, match="order"):
        KneserNey([[1]], 4, 0)
    with pytest.raises(ValueError, match="discount"):
        KneserNey([[1]], 4, 2, 1.0)
