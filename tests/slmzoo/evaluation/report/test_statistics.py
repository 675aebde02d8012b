"""Intervals that cover, tests that agree with what scipy computes, and draws that a seed repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from slmzoo.evaluation.report.statistics import Bootstrap, clustered, compare, mcnemar, ratio
from slmzoo.evaluation.units.bitrate import entropy


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(1)
    bootstrap = Bootstrap(resamples=400)
    held = 0
    for _ in range(1000):
        interval = bootstrap.mean((random.random(150) < 0.7).astype(float))
        held += interval.low <= 0.7 <= interval.high
    assert 930 <= held <= 970


def test_intervals_of_ratios_cover_when_weights_belong_to_items():
    """Errors a word, where long files have more errors: what is drawn is the file."""
    random = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        words = random.integers(2, 30, 120)
        errors = random.binomial(words, np.where(words > 15, 0.3, 0.1))
        interval = Bootstrap(resamples=400).interval(ratio(errors / words, words), 120)
        held += interval.low <= _TRUE_RATIO <= interval.high
    assert 0.92 <= held / 600 <= 0.98


_LENGTHS = np.arange(2, 30)
_TRUE_RATIO = float((_LENGTHS * np.where(_LENGTHS > 15, 0.3, 0.1)).sum() / _LENGTHS.sum())


@pytest.mark.parametrize(("method", "least", "most"), [("percentile", 0.0, 0.9), ("basic", 0.91, 0.98)])
def test_basic_intervals_cover_where_small_samples_are_biased(method, least, most):
    """The entropy of 30 kinds, of 60 utterances with 5 each: the percentiles lie too low."""
    random = np.random.default_rng(8)
    shares = random.dirichlet(np.ones(30))
    truth = -(shares * np.log2(shares)).sum()
    held = 0
    for _ in range(300):
        counts = random.multinomial(5, shares, 60).astype(float)
        found = Bootstrap(resamples=200).interval(lambda drawn, c=counts: entropy(drawn @ c), 60, method)
        held += found.low <= truth <= found.high
        assert found.method == method
    assert least <= held / 300 <= most


def test_the_interval_of_a_mean_is_near_the_normal_one():
    values = np.random.default_rng(3).normal(size=400)
    interval = Bootstrap(resamples=4000).interval(ratio(values), 400)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_seed_decides_and_memory_does_not():
    values = np.random.default_rng(4).random(50)
    first = Bootstrap(seed=3).draws(ratio(values), 50)
    assert Bootstrap(seed=3).draws(ratio(values), 50, cells=333) == pytest.approx(first, abs=1e-12)
    assert not np.array_equal(Bootstrap(seed=4).draws(ratio(values), 50), first)


def test_equal_items_drawn_as_one_kind_have_the_same_interval():
    random = np.random.default_rng(7)
    values, weights = random.choice([0, 0.5, 1], 300), random.choice([1, 2], 300)
    bootstrap = Bootstrap(resamples=8000)
    apart, together = bootstrap.interval(ratio(values, weights), 300), bootstrap.mean(values, weights)
    assert together.value == pytest.approx(apart.value)
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high), abs=0.004)


@pytest.mark.parametrize(("values", "known"), [([], None), ([1.0], 1.0)])
def test_too_few_items_have_no_interval(values, known):
    for interval in (Bootstrap().interval(ratio(values), len(values)), Bootstrap().mean(values)):
        assert (interval.value, interval.low, interval.high) == (known, None, None)


def test_nothing_but_empty_files_has_no_score():
    interval = Bootstrap().interval(ratio([0.0, 0.0], [0, 0]), 2)
    assert (interval.value, interval.low) == (None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), max_size=60))
def test_mcnemar_is_the_exact_sign_test(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    b, c = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)


def test_a_pair_is_drawn_together():
    """Two systems that differ by a constant on very different items differ by it in every resample."""
    first = np.random.default_rng(5).random(80) * 100
    found = compare(first.tolist(), (first + 1).tolist())
    assert found.difference.value == pytest.approx(1)
    assert found.difference.low == pytest.approx(found.difference.high)
    assert found.bootstrap_p == pytest.approx(2 / 2001)
    assert found.mcnemar_p is None


def test_equal_systems_do_not_differ():
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    found = compare(values, values)
    assert (found.difference.value, found.bootstrap_p, found.mcnemar_p, found.items) == (0, 1.0, 1.0, 5)


def test_p_values_are_rarely_small_for_systems_that_do_not_differ():
    random = np.random.default_rng(6)
    bootstrap = Bootstrap(resamples=300)
    small = [
        compare(random.random(60).tolist(), random.random(60).tolist(), bootstrap=bootstrap).bootstrap_p < 0.05
        for _ in range(400)
    ]
    assert 0.02 <= np.mean(small) <= 0.09


@pytest.mark.parametrize(
    "wrong", [{"resamples": 0}, {"resamples": True}, {"level": 0.0}, {"level": 1.0}, {"resamples": 2.5}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Bootstrap(**wrong)


def test_values_and_weights_belong_together():
    with pytest.raises(ValueError, match="weights"):
        ratio([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="weights"):
        ratio([1.0, float("nan")])
    with pytest.raises(ValueError, match="second"):
        compare([1.0], [1.0, 2.0])


def test_what_is_drawn_together_is_one_item():
    """Ten copies of each value say no more than the value itself."""
    random = np.random.default_rng(9)
    values, clusters = random.random(30), [i // 10 for i in range(300)]
    apart = Bootstrap().mean(values.tolist())
    together = Bootstrap().interval(*clustered(np.repeat(values, 10), clusters))
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low == pytest.approx(apart.high - apart.low, rel=0.1)
    copied = compare(np.repeat(values, 10).tolist(), np.repeat(values[::-1], 10).tolist(), clusters=clusters)
    single = compare(values.tolist(), values[::-1].tolist())
    assert (copied.items, copied.first) == (30, pytest.approx(single.first))
    assert copied.difference.low == pytest.approx(single.difference.low, rel=0.1)


def test_the_mean_of_the_means_of_groups():
    """Groups x: 1, 3 with weights 3, 1; y: 5. A draw without the second cluster has no y."""
    score, n = clustered([1, 3, 5], ["a", "b", "b"], [3, 1, 2], ["x", "x", "y"])
    assert n == 2
    assert score(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])).tolist() == [(1.5 + 5) / 2, 1.0, 4.0]


def test_items_that_are_drawn_together_have_no_mcnemar():
    found = compare([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], clusters=["a", "a", "b"])
    assert (found.mcnemar_p, found.items) == (None, 2)
