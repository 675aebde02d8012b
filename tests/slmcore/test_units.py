from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.units import Codes, OperatingPoint, Units

POINT = OperatingPoint(zoo="dp-slm", encoder="wavlm_large", layer=11, k=500, lmbda=4500.0, num_neighbors=25)


def units(values, durations, rate=50.0):
    return Units(torch.tensor(values, dtype=torch.int64), torch.tensor(durations, dtype=torch.int64), rate)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=30))
def test_framewise_and_back(framewise):
    found = Units.from_framewise(torch.tensor(framewise, dtype=torch.int64), 50.0, POINT)
    assert found.framewise().tolist() == framewise
    assert all(a != b for a, b in zip(found.units.tolist(), found.units.tolist()[1:], strict=False))
    assert found.seconds == len(framewise) / 50
    assert found.operating_point is POINT
    assert len(found.boundaries()) == len(found) + 1


def test_boundaries_are_seconds():
    found = units([3, 1, 3], [2, 1, 5], rate=50.0)
    assert found.boundaries().tolist() == [0.0, 0.04, 0.06, 0.16]
    assert found.boundaries().dtype == torch.float64


def test_long_sequences_keep_their_precision():
    found = units([0, 1], [2**40, 1])
    assert found.boundaries()[-1].item() == (2**40 + 1) / 50


def test_no_units_at_all():
    found = units([], [])
    assert (len(found), found.seconds, found.framewise().tolist(), found.boundaries().tolist()) == (0, 0.0, [], [0.0])


@pytest.mark.parametrize(
    ("values", "durations", "rate", "message"),
    [
        (torch.tensor([1.0]), torch.tensor([1]), 50.0, "`units` must be an int64 tensor"),
        (torch.tensor([[1]]), torch.tensor([[1]]), 50.0, r"`units` must be an int64 tensor \(n,\)"),
        ([1], torch.tensor([1]), 50.0, "`units` must be"),
        (torch.tensor([1]), torch.tensor([1], dtype=torch.int32), 50.0, "`durations` must be an int64"),
        (torch.tensor([1, 2]), torch.tensor([1]), 50.0, r"as long as units \(2\)"),
        (torch.tensor([-1]), torch.tensor([1]), 50.0, "a smaller value was found"),
        (torch.tensor([1]), torch.tensor([0]), 50.0, "a smaller value was found"),
        (torch.tensor([1]), torch.tensor([1]), 0.0, "`frame_rate` must be"),
        (torch.tensor([1]), torch.tensor([1]), float("nan"), "`frame_rate` must be"),
    ],
)
def test_what_units_refuse(values, durations, rate, message):
    with pytest.raises(ValueError, match=message):
        Units(values, durations, rate)


def test_points_agree_where_either_is_unknown():
    POINT.check_compatible(OperatingPoint(zoo="dp-slm", k=500), "parts")
    POINT.check_compatible(None, "parts")
    assert POINT.conflicts(OperatingPoint(zoo="dp-slm", k=100, lmbda=4500, layer=9)) == [
        "layer: 11 != 9",
        "k: 500 != 100",
    ]
    with pytest.raises(ValueError, match=r"codebook and model do not belong together \(zoo: dp-slm != demo\)"):
        POINT.check_compatible(OperatingPoint(zoo="demo"), "codebook and model")
    with pytest.raises(ValueError, match=r"\(k: 500 != 100\)\. Load both at one operating point\."):
        POINT.check_compatible(OperatingPoint(zoo="dp-slm", k=100), "codebook and model")


def test_a_point_survives_its_json():
    assert OperatingPoint.from_json(POINT.to_json()) == POINT


@pytest.mark.parametrize(
    "text",
    ["", "3", "[]", "{}", '{"zoo": 3}', '{"zoo": "a", "more": 1}']
    + [
        json.dumps({"zoo": "a", name: value})
        for name, value in [("k", "5"), ("layer", 1.5), ("lmbda", []), ("k", True)]
    ],
)
def test_other_json_is_refused(text):
    with pytest.raises(ValueError):
        OperatingPoint.from_json(text)


def test_codes_know_their_rate_and_levels():
    codes = Codes(torch.tensor([[0, 5, 2], [7, 1, 1]]), 12.5, 8)
    assert (len(codes), codes.num_codebooks, codes.seconds) == (3, 2, 0.24)
    assert codes.bits_per_second == 2 * 12.5 * 3
    assert codes.levels(1).codes.tolist() == [[0, 5, 2]]
    assert codes.levels(2).codes.tolist() == codes.codes.tolist()
    assert len(Codes(torch.zeros(1, 0, dtype=torch.int64), 50.0, 4)) == 0
    for number in (0, 3):
        with pytest.raises(ValueError, match="from 1 to 2 codebooks"):
            codes.levels(number)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": torch.zeros(3, dtype=torch.int64)}, r"\(codebooks, frames\)"),
        ({"codes": torch.zeros(0, 3, dtype=torch.int64)}, r"\(codebooks, frames\)"),
        ({"codes": torch.zeros(1, 3)}, "int64"),
        ({"codes": [[1]]}, "int64"),
        ({"codes": torch.tensor([[8]])}, "from 0 to 7, but is a tensor with values from 8 to 8"),
        ({"codes": torch.tensor([[0], [-1]])}, "from -1 to 0"),
        ({"frame_rate": 0.0}, "`frame_rate`"),
        ({"codebook_size": 0}, "`codebook_size`"),
    ],
)
def test_wrong_codes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Codes(**{"codes": torch.zeros(1, 3, dtype=torch.int64), "frame_rate": 50.0, "codebook_size": 8} | change)


def test_codes_of_another_codec_are_refused():
    codes = Codes(torch.zeros(2, 3, dtype=torch.int64), 50.0, 8)
    codes.check_made_by(2, 8, 50.0)
    for other, message in (((1, 8, 50.0), "at most 1"), ((2, 16, 50.0), "16 codes"), ((2, 8, 75.0), "at 75 Hz")):
        with pytest.raises(ValueError, match=message):
            codes.check_made_by(*other)
