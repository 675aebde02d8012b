from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.clustering import dtw
from slmcore.clustering.dtw_compiled import by_numba
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.abx import Item, cells, cut, error_rate, frames, read_items, tables
from tests.reference import abx_slow

HEADER = "#file onset offset #phone prev-phone next-phone speaker\n"


def made_up(seed: int, count: int, distance: str, speakers: int = 3) -> tuple[list[Item], list[torch.Tensor]]:
    """Items of two contexts and three phones; repeated frames make ties."""
    draw, rows = random.Random(seed), torch.Generator().manual_seed(seed)
    items, pieces = [], []
    for i in range(count):
        phone, context = draw.choice("abc"), draw.choice(["xy", "zz"])
        items.append(Item(f"f{i}", Fraction(0), Fraction(1), phone, *context, f"s{draw.randrange(speakers)}"))
        units = torch.randint(0, 3, (draw.randint(1, 6),), generator=rows)
        codes = torch.randn(3, 5, generator=torch.Generator().manual_seed(7))
        noise = torch.randn(len(units), 5, generator=rows) if draw.random() < 0.6 else 0
        pieces.append(units if distance == "identical" else codes[units] + noise)
    order = sorted(range(count), key=items.__getitem__)
    return [items[i] for i in order], [pieces[i] for i in order]


@pytest.mark.parametrize("distance", ["angular", "euclidean", "identical"])
@pytest.mark.parametrize("speaker", ["within", "across"])
@pytest.mark.parametrize("context", ["within", "any"])
def test_equals_the_slow_definition_exactly(distance, speaker, context):
    items, pieces = made_up(1, 40, distance)
    plain = [piece.numpy() if distance == "identical" else piece.double().numpy() for piece in pieces]
    expected = abx_slow.abx(items, plain, distance, speaker == "across", context == "any")
    limits = {"most": None, "most_speakers": None}
    found = cells(pieces, items, speaker=speaker, context=context, distance=distance, **limits)
    assert (error_rate(tables(found)), sum(cell.triples for cell in found)) == expected


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_paths_equal_the_slow_ones(data):
    lengths = st.lists(st.integers(1, 5), min_size=1, max_size=3)
    xs, ys = data.draw(lengths), data.draw(lengths)
    values = st.integers(0, 2)  # few values: many ties between paths
    x = [np.array(data.draw(st.lists(values, min_size=n, max_size=n))) for n in xs]
    y = [np.array(data.draw(st.lists(values, min_size=n, max_size=n))) for n in ys]
    expected = [[abx_slow.warped("identical", a, b) for b in y] for a in x]
    costs = torch.from_numpy((np.concatenate(x)[:, None] != np.concatenate(y)).astype(float))
    sizes = torch.tensor(xs), torch.tensor(ys)
    starts = [size.cumsum(0) - size for size in sizes]
    for loop in (by_numba, dtw.by_torch):
        out = torch.full((len(xs), len(ys)), torch.nan, dtype=torch.float64)
        loop(costs, starts[0], sizes[0], starts[1], sizes[1], out)
        assert out.tolist() == expected
    assert dtw.warp(costs, *sizes).tolist() == expected


def test_one_path_by_hand():
    costs = torch.tensor([[0.0, 4.0, 4.0], [4.0, 1.0, 2.0]]).double()
    # (0, 0), (1, 1), (1, 2): three pairs of frames
    assert dtw.warp(costs, torch.tensor([2]), torch.tensor([3])).tolist() == [[1.0]]


@pytest.mark.parametrize("distance", ["angular", "identical"])
def test_neither_order_nor_blocks_matter(distance, monkeypatch):
    items, pieces = made_up(2, 60, distance)
    whole = cells(pieces, items, speaker="across", distance=distance, most=2, most_speakers=1)
    order = list(range(len(items)))
    random.Random(0).shuffle(order)
    monkeypatch.setattr(abx, "COSTS_AT_ONCE", 1)
    shuffled = [pieces[i] for i in order], [items[i] for i in order]
    again = cells(*shuffled, speaker="across", distance=distance, most=2, most_speakers=1)
    assert sorted(again) == sorted(whole)


def test_limits_hold_and_are_drawn_by_the_seed():
    items, pieces = made_up(3, 200, "identical")
    few = cells(pieces, items, distance="identical", most=3)
    assert max(cell.triples for cell in few) <= 3 * 2 * 3
    assert few == cells(pieces, items, distance="identical", most=3)
    assert few != cells(pieces, items, distance="identical", most=3, seed=1)
    across = cells(pieces, items, speaker="across", distance="identical", most_speakers=1)
    asked = {(c.phone, c.context, c.speaker): c.x_speaker for c in across}
    assert all(asked[c.phone, c.context, c.speaker] == c.x_speaker != c.speaker for c in across)


def test_means_are_taken_over_contexts_then_speakers_then_phones():
    def cell(pair, speaker, context, error):
        return abx.Cell(*pair, (context, context), speaker, speaker, error, 1)

    found = [cell("ab", "s", "1", 0.0), cell("ab", "s", "2", 1.0), cell("ab", "t", "1", 0.0), cell("ba", "s", "1", 1.0)]
    assert tables(found) == {("a", "b"): {"s": 0.5, "t": 0.0}, ("b", "a"): {"s": 1.0}}
    assert error_rate(tables(found)) == (0.25 + 1.0) / 2


def test_a_frame_of_zeros_is_far_from_all_but_another():
    zero, one = torch.zeros(1, 4).double(), torch.ones(1, 4).double()
    both = torch.cat([zero, one])
    assert abx._angular(both, both).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@given(onset=st.integers(0, 400), length=st.integers(1, 400), rate=st.sampled_from([25, 50, 100]))
@settings(deadline=None)
def test_frames_are_those_whose_middle_is_inside(onset, length, rate):
    item = Item("f", Fraction(onset, 400), Fraction(onset + length, 400), "a", "b", "c", "s")
    expected = abx_slow.inside(item.onset, item.offset, rate, 300)
    assert list(range(300))[frames(item, float(rate))] == expected


def test_items_are_read_sorted_and_exact(tmp_path: Path):
    path = tmp_path / "a.item"
    path.write_text(HEADER + "g 0.29 0.5 b a c s1\nf 0.1 0.3 a b c s1\n\n")
    first, second = read_items(path)
    assert (first.file, second.onset, second.speaker) == ("f", Fraction(29, 100), "s1")
    features = {"f": torch.arange(10), "g": torch.arange(20)}
    # 0.1 s at 50 Hz: the middles at 0.11, 0.13, ... 0.29
    assert cut(features, [first, second], 50.0)[0].tolist() == list(range(5, 10))
    assert cut(features, [first, second], 50.0)[1].tolist() == list(range(14, 20))  # 0.29 is a middle itself


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f 0.1 0.3 a b c\n", "line 2 does not hold 7"),
        ("f 0.1 x a b c s\n", "line 2 does not hold 7"),
        ("f 0.3 0.3 a b c s\n", "ends before"),
        ("f 0.1 0.3 a b c s\nf 0.10 0.3 a b c s\n", "line 3 already stands in line 2"),
        ("", "no items"),
    ],
)
def test_items_that_are_none_are_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "a.item"
    path.write_text(HEADER + text)
    with pytest.raises(ValueError, match=message):
        read_items(path)


def test_what_cannot_be_compared_is_refused():
    items, pieces = made_up(4, 3, "identical", speakers=1)
    with pytest.raises(ValueError, match="sequences of at least one frame"):
        cells([*pieces[:2], pieces[2][:0]], items)
    with pytest.raises(ValueError, match="files of all items"):
        cut({}, items, 50.0)
    with pytest.raises(ValueError, match="No two phones"):
        error_rate(tables(cells(pieces, items, speaker="across", distance="identical")))
