from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from dpdp import bits_per_second
from slmcore.units import OperatingPoint, Units
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units import bitrate, phones
from slmzoo.evaluation.units.scoring import evaluate_units
from slmzoo.evaluation.units.textgrid import Phone
from slmzoo.evaluation.units.unit_scores import cost


def units(*framewise: int, rate: float = 50.0) -> Units:
    return Units.from_framewise(torch.tensor(framewise), rate)


def value(statistic, items: int) -> float:
    return float(statistic(np.ones((1, items)))[0])


def test_bit_rate_by_hand():
    # 0 1 0 1 | 2: shares 2/5, 2/5, 1/5 of 5 units, in 10 frames of 20 ms
    made = [units(0, 0, 1, 1, 1, 0, 1), units(2, 2, 2)]
    bits = 2 * 0.4 * math.log2(2.5) + 0.2 * math.log2(5)
    assert value(bitrate.bit_rate(made), 2) == pytest.approx(5 * bits / 0.2)
    assert value(bitrate.units_per_second(made), 2) == pytest.approx(25.0)
    assert value(bitrate.perplexity(made), 2) == pytest.approx(2**bits)
    assert bitrate.codes_used(made) == 3


def of_gslm(encoder: str, k: int, lmbda: float | None = 0.0) -> Units:
    point = OperatingPoint(zoo="gslm", encoder=encoder, k=k, lmbda=lmbda)
    return Units.from_framewise(torch.tensor([0, 0, 1, 1, 2]), 50.0, point)


@pytest.mark.parametrize(
    ("encoder", "k", "entropy"), [("hubert_base", 100, 6.44513268276806), ("cpc_big", 50, 5.428271158461133)]
)
def test_bit_rates_of_gslm_take_its_own_entropies(encoder: str, k: int, entropy: float):
    scores, tables = cost({"a": of_gslm(encoder, k)}, Bootstrap(), "gslm")
    found = {score.metric: score.interval.value for score in scores}
    assert found["bit_rate"] == pytest.approx(3 / 0.1 * entropy)
    assert found["bit_rate_uniform"] == pytest.approx(3 / 0.1 * math.log2(k))
    assert found["units_per_second"] == pytest.approx(30)
    assert [row["value"] for row in tables["bit_rate"]] == pytest.approx([found["bit_rate"]])
    assert "bit_rate_uniform" not in {score.metric for score in cost({"a": of_gslm(encoder, k)}, Bootstrap())[0]}


@pytest.mark.parametrize(
    "other", [of_gslm("hubert_base", 500), of_gslm("wavlm_large", 100), of_gslm("hubert_base", 100, 2.0), units(1, 2)]
)
def test_units_whose_entropy_gslm_does_not_state_are_refused(other: Units):
    with pytest.raises(ValueError, match=r"`convention` must be 'slmzoo' for other units.*hubert_base with 50 units"):
        cost({"a": other}, Bootstrap(), "gslm")
    with pytest.raises(ValueError, match=r"`convention` must be one of slmzoo, gslm"):
        evaluate_units({"a": other}, convention="GSLM")  # pyright: ignore[reportArgumentType]


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=9), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_bit_rate_is_that_of_dpdp_and_resamples_utterances(sequences: list[list[int]]):
    made = [units(*each) for each in sequences]
    assert value(bitrate.bit_rate(made), len(made)) == pytest.approx(bits_per_second(made))
    twice = [made[0], *made]
    drawn = np.array([[2.0] + [1.0] * (len(made) - 1)])
    assert bitrate.bit_rate(made)(drawn)[0] == pytest.approx(bits_per_second(twice))


@st.composite
def aligned(draw):
    """Utterances of 50 frames a second and phones that may leave gaps."""
    made = [units(*draw(st.lists(st.integers(0, 3), min_size=1, max_size=12))) for _ in range(draw(st.integers(1, 4)))]
    alignments = []
    for _ in made:
        edges = sorted(draw(st.sets(st.integers(0, 24), min_size=2, max_size=8)))
        named = [Phone(a / 100, b / 100, draw(st.sampled_from("abc"))) for a, b in itertools.pairwise(edges)]
        alignments.append([phone for phone in named if draw(st.booleans())] or named)
    return made, alignments


@given(aligned())
@settings(max_examples=30, deadline=None)
def test_purities_and_information_are_those_of_all_frames(case):
    made, alignments = case
    pairs = [
        (int(unit), label)
        for each, known in zip(made, alignments, strict=True)
        for i, unit in enumerate(each.framewise())
        for label in [next((p.label for p in known if p.start <= (i + 0.5) / 50 < p.end), None)]
        if label is not None
    ]
    if not pairs:
        with pytest.raises(ValueError, match="alignments"):
            phones.joint(made, alignments)
        return
    found, n = phones.joint(made, alignments), len(made)
    of_unit, of_phone = list(zip(*pairs, strict=True))
    best = [max(pairs.count((u, p)) for p in "abc") for u in set(of_unit)]
    assert value(found.phone_purity, n) == pytest.approx(sum(best) / len(pairs))
    best = [max(pairs.count((u, p)) for u in range(4)) for p in set(of_phone)]
    assert value(found.cluster_purity, n) == pytest.approx(sum(best) / len(pairs))
    shared = mutual_info_score(of_unit, of_phone) / math.log(2)
    assert value(found.information, n) == pytest.approx(shared, abs=1e-9)
    all_of_it = mutual_info_score(of_phone, of_phone) / math.log(2)
    if all_of_it > 1e-9:
        assert value(found.pnmi, n) == pytest.approx(shared / all_of_it, abs=1e-9)
    else:
        assert math.isnan(value(found.pnmi, n))


def test_a_resample_counts_an_utterance_as_often_as_it_is_drawn():
    made = [units(0, 1), units(0, 0)]
    alignments = [[Phone(0, 0.02, "a"), Phone(0.02, 0.04, "b")], [Phone(0, 0.04, "b")]]
    found = phones.joint(made, alignments)
    purity = found.phone_purity(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    assert purity.tolist() == [0.75, 1.0, 1.0, pytest.approx(5 / 6)]


@given(
    found=st.lists(st.integers(0, 30), max_size=5, unique=True),
    reference=st.lists(st.integers(0, 30), max_size=5, unique=True),
)
@settings(max_examples=100, deadline=None)
def test_as_many_boundaries_match_as_can(found: list[int], reference: list[int]):
    found, reference = sorted(found), sorted(reference)
    few, many = sorted([found, reference], key=len)
    best = max(
        sum(abs(a - b) <= 2 for a, b in zip(few, chosen, strict=True))
        for chosen in itertools.permutations(many, len(few))
    )
    assert phones._matched([f / 100 for f in found], [r / 100 for r in reference], 0.02 + 1e-6) == best


def test_boundary_scores_by_hand():
    # units change at 0.04, 0.10 and 0.16 s; phones at 0.05 and 0.20; the two "b" have no boundary between them
    made = units(*[0] * 2, *[1] * 3, *[2] * 3, *[3] * 4)
    alignment = [Phone(0, 0.05, "a"), Phone(0.05, 0.1, "b"), Phone(0.1, 0.2, "b"), Phone(0.2, 0.24, "sil")]
    found = phones.boundaries([made], [alignment])
    assert (found.predicted.tolist(), found.reference.tolist(), found.hits.tolist()) == ([3], [2], [1])
    assert value(found.precision, 1) == pytest.approx(1 / 3)
    assert value(found.recall, 1) == 0.5
    assert value(found.f1, 1) == pytest.approx(0.4)
    # over-segmentation 1/2: distances to (1, 0) and to the line recall = 1 + over
    expected = 1 - (math.hypot(0.5, 0.5) + abs(0.5 - 1 - 0.5) / math.sqrt(2)) / 2
    assert value(found.r_value, 1) == pytest.approx(expected)


def test_r_value_is_one_only_without_a_flaw():
    perfect = phones.Boundaries(np.array([4]), np.array([4]), np.array([4]))
    too_many = phones.Boundaries(np.array([40]), np.array([4]), np.array([4]))
    assert value(perfect.r_value, 1) == 1
    assert value(too_many.r_value, 1) < 0
    none = phones.Boundaries(np.array([0]), np.array([0]), np.array([0]))
    assert math.isnan(value(none.recall, 1))


def test_intervals_hold_the_value():
    random = torch.Generator().manual_seed(0)
    made = [units(*torch.randint(0, 5, (40,), generator=random).tolist()) for _ in range(30)]
    for statistic in (bitrate.bit_rate(made), bitrate.units_per_second(made)):
        interval = Bootstrap(resamples=200).interval(statistic, len(made))
        assert interval.low < interval.value < interval.high
