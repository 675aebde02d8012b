from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gslm.ulm.dictionary import BOS, EOS, UNK, UnitDictionary
from slmcore.errors import CheckpointError
from slmcore.units import Units

TEXT = "7 90\n0 54\n5 54\nmadeupword0000 0\n"


@given(order=st.permutations(range(12)), units=st.lists(st.integers(0, 11)))
def test_units_go_through_the_lines_and_back(order, units):
    dictionary = UnitDictionary.from_text("".join(f"{unit} 3\n" for unit in order))
    ids = dictionary.encode(units)
    assert ids.tolist() == [EOS, *(4 + order.index(unit) for unit in units)]
    assert dictionary.decode(ids) == units


def test_special_tokens_and_fillers_are_no_units():
    dictionary = UnitDictionary.from_text(TEXT, k=9, first=BOS)
    assert (dictionary.k, dictionary.vocab_size) == (9, 8)
    assert dictionary.encode([5, 3]).tolist() == [BOS, 6, UNK]
    assert dictionary.decode([0, 1, 2, 3, 4, 7, 5]) == [7, 0]
    assert dictionary.is_unit(torch.tensor([3, 4, 7])).tolist() == [False, True, False]
    assert UnitDictionary.from_text(TEXT).k == 8


def test_units_of_any_kind():
    dictionary = UnitDictionary.from_text(TEXT)
    wanted = [EOS, 4, 5]
    assert dictionary.encode(torch.tensor([7, 0], dtype=torch.int32)).tolist() == wanted
    assert dictionary.encode(Units(torch.tensor([7, 0]), torch.tensor([1, 2]), 50.0)).tolist() == wanted
    assert dictionary.encode([]).tolist() == [EOS]


@pytest.mark.parametrize("units", [[8], [-1], [0, 99]])
def test_units_outside_are_refused(units):
    with pytest.raises(ValueError, match=r"`units` must be in 0..7"):
        UnitDictionary.from_text(TEXT).encode(units)


@pytest.mark.parametrize("units", [torch.tensor([0.5]), torch.tensor([[1]]), torch.tensor([True])])
def test_what_is_no_sequence_of_units(units):
    with pytest.raises(TypeError, match="whole numbers"):
        UnitDictionary.from_text(TEXT).encode(units)


def test_a_symbol_may_come_again_only_where_it_says_so():
    dictionary = UnitDictionary.from_text("3 9\n4 8\n3 7 #fairseq:overwrite\n")
    assert dictionary.encode([3, 4]).tolist() == [EOS, 6, 5]
    assert dictionary.vocab_size == 7
    for repeated in ("3 9\n3 7\n", "3 9\n<pad> 7\n"):
        with pytest.raises(CheckpointError, match="line 2"):
            UnitDictionary.from_text(repeated)


@pytest.mark.parametrize("text", ["7 90\n0\n", "7 90\n0 many\n", "7 90\n\n"])
def test_lines_of_another_form_are_named(text, tmp_path):
    file = tmp_path / "dict.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"dict.txt, line 2.*symbol count"):
        UnitDictionary.from_file(file)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dict\.txt"):
        UnitDictionary.from_file(tmp_path / "dict.txt")
    (tmp_path / "dict.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="UTF-8"):
        UnitDictionary.from_file(tmp_path / "dict.txt")
    with pytest.raises(CheckpointError, match="list of units"):
        UnitDictionary.from_text("the 5\ncat 3\n")
    with pytest.raises(CheckpointError, match="below k = 7"):
        UnitDictionary.from_text(TEXT, k=7)
    with pytest.raises(CheckpointError, match="unit dictionary"):
        UnitDictionary.from_dict({"phonemes": []})
