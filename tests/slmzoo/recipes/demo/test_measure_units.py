from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.recipes.demo.measure_units import distances, edits, measure, nearer

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


def test_nearer_counts_all_pairs() -> None:
    first = [np.array([1, 2, 3]), np.array([4, 5, 6]), np.array([7, 8, 9])]
    second = [np.array([1, 2, 0]), np.array([4, 5, 6]), np.array([4, 5, 0])]
    # The third is as far from itself as from the first, and as from the second.
    assert nearer(first, second)["nearer"] == pytest.approx(4 / 6)


def test_measure_reads_voices_and_rates(tmp_path: Path) -> None:
    for folder, units in {"a": [1, 1, 2, 2], "a@1.25": [1, 1, 1, 2, 2], "b": [1, 2, 2, 2]}.items():
        (tmp_path / folder).mkdir()
        for i in range(2):
            np.save(tmp_path / folder / f"{i}.npy", np.array(units, np.int16) + 10 * i)
    found = measure(tmp_path)
    assert found["units_per_second"] == {"a": 25.0, "a@1.25": 20.0, "b": 25.0}
    assert set(found) == {"units_per_second", "a / a@1.25", "a / b"}
    assert found["a / b"] == {"nearer": 1.0, "same_sentence": 0.0, "other_sentence": 1.0}
