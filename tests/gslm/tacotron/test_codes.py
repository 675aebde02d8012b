from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gslm.tacotron.codes import CodeTable
from slmcore.errors import CheckpointError
from slmcore.units import Units
from tests.reference import goldens

CASES = goldens.load_json("gslm_tacotron_encode")
CASES = CASES["cases"] if isinstance(CASES, dict) else CASES
LINES = ["3", "1", "2", "0"]


def table(lines: list[str], rows: int, case: dict, k: int | None = None) -> CodeTable:
    flags = {"add_sos": case["add_sos"], "add_eos": case["add_eos"], "collapse": case["collapse_code"]}
    return CodeTable(lines, rows, **flags, k=k)


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_both_published_readers_are_served_by_the_rows_of_the_model(case):
    lines = case["code_dict"].split(",")
    tokens, ends = case["units"].split(), case["add_sos"] + case["add_eos"]
    without = table(lines, 1 + len(lines), case).read(tokens)
    assert without.ids.tolist() == case["textlesslib"]
    if case["fairseq"] != "AssertionError":
        assert table(lines, 1 + len(lines) + ends, case).read(tokens).ids.tolist() == case["fairseq"]


@given(order=st.permutations(range(8)), units=st.lists(st.integers(0, 7), min_size=1))
def test_ids_are_the_lines_and_sources_the_units(order, units):
    codes = CodeTable([str(unit) for unit in order], 10, add_eos=True, collapse=True)
    found = codes.encode(units)
    *inside, end = found.ids.tolist()
    assert end == 9
    assert inside == [order.index(u) + 1 for u, before in zip(units, [None, *units], strict=False) if u != before]
    assert [units[place] for place in found.sources[:-1].tolist()] == [order[index - 1] for index in inside]
    assert found.sources[-1] == len(units) - 1
    assert found.complete


def test_units_without_a_line_are_left_out_and_told():
    codes = CodeTable(LINES, 5, collapse=True, k=9)
    found = codes.encode(torch.tensor([1, 8, 1, 2], dtype=torch.int16))
    assert (found.ids.tolist(), found.sources.tolist(), found.complete) == ([2, 3], [0, 3], False)
    assert codes.encode(Units(torch.tensor([1, 2]), torch.tensor([3, 4]), 50.0)).complete
    nothing = CodeTable(LINES, 6, add_eos=True).encode([])
    assert (nothing.ids.tolist(), nothing.ids.dtype, nothing.complete) == ([], torch.int64, True)


def test_blank_lines_are_symbols_and_the_last_of_two_equal_ones_holds(tmp_path):
    (tmp_path / "code_dict").write_text("3  \n\n1\n3\n", encoding="utf-8")
    assert CodeTable.from_file(tmp_path / "code_dict", 5).encode([3, 1]).ids.tolist() == [4, 3]


@pytest.mark.parametrize("rows", [4, 8, 100])
def test_a_table_of_another_length_is_refused(rows):
    with pytest.raises(CheckpointError, match=r"code_dict.*list of 4 lines.*fluent nonsense"):
        CodeTable(LINES, rows)


@pytest.mark.parametrize("rows", [5, 6, 7])
def test_rows_for_the_ends_may_be_there_or_not(rows):
    ids = CodeTable(LINES, rows, add_sos=True, add_eos=True).encode([0]).ids.tolist()
    assert ids == {5: [4], 6: [5, 4], 7: [5, 4, 6]}[rows]


@pytest.mark.parametrize("units", [[4], [-1], [0, 99]])
def test_units_outside_are_refused(units):
    with pytest.raises(ValueError, match=r"`units` must be in 0..3"):
        CodeTable(LINES, 5).encode(units)


@pytest.mark.parametrize("units", [torch.tensor([0.5]), torch.tensor([[1]]), torch.tensor([True])])
def test_what_is_no_sequence_of_units(units):
    with pytest.raises(TypeError, match="whole numbers"):
        CodeTable(LINES, 5).encode(units)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="code_dict"):
        CodeTable.from_file(tmp_path / "code_dict", 5)
    (tmp_path / "code_dict").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="UTF-8"):
        CodeTable.from_file(tmp_path / "code_dict", 5)
    with pytest.raises(CheckpointError, match="list of units"):
        CodeTable(["a", "b"], 3)
    with pytest.raises(CheckpointError, match="below k = 3"):
        CodeTable(LINES, 5, k=3)
    for nothing in (None, {"symbols": []}):
        with pytest.raises(CheckpointError, match="table of codes"):
            CodeTable.from_dict(nothing)
    codes = CodeTable(LINES, 6, add_eos=True, collapse=True, k=7)
    assert CodeTable.from_dict(codes.to_dict()).to_dict() == codes.to_dict()
