from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.evaluation.units.edit_distance import distances, edits

SHORT = st.lists(st.integers(0, 2), max_size=5)


def slow_edits(a: list[int], b: list[int]) -> int:
    """The definition: drop, insert, or take both."""
    if not a or not b:
        return len(a) + len(b)
    both = slow_edits(a[1:], b[1:]) + (a[0] != b[0])
    return min(both, 1 + slow_edits(a[1:], b), 1 + slow_edits(a, b[1:]))


@given(a=SHORT, others=st.lists(SHORT, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_edits_are_the_fewest(a: list[int], others: list[list[int]]) -> None:
    found = edits(np.array(a, int), [np.array(b, int) for b in others])
    assert found.tolist() == [slow_edits(a, b) for b in others]


def test_distances_are_a_share_of_the_longer() -> None:
    others = [np.array([3, 4, 5, 6]), np.array([1, 2, 3, 4]), np.array([], int)]
    assert distances(np.array([1, 2]), others).tolist() == [1.0, 0.5, 1.0]
    assert distances(np.array([], int), others[2:]).tolist() == [0.0]
