from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.batching import batches


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 500), max_size=40), st.integers(1, 1000))
def test_batches_hold_each_wav_once_and_pad_no_further_than_allowed(values: list[int], most: int) -> None:
    found = list(batches(values, most))
    assert sorted(i for batch in found for i in batch) == list(range(len(values)))
    assert all(len(batch) == 1 or len(batch) * max(values[i] for i in batch) <= most for batch in found)
    longest = [max(values[i] for i in batch) for batch in found]
    assert longest == sorted(longest)
