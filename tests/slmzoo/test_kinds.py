from __future__ import annotations

import pytest

from slmzoo.kinds import KINDS, imported


@pytest.mark.parametrize("name", KINDS)
def test_the_functions_of_a_kind_exist(name):
    kind = KINDS[name]
    assert callable(imported(kind.loader))
    assert kind.translator is None or callable(imported(kind.translator))


def test_a_tokenizer_is_loaded_by_its_kind(tmp_path):
    file = tmp_path / "phonemes.json"
    file.write_text('{"phoneme_to_id": {"AA": 2, "B": 3}, "delimiter": " "}')
    assert KINDS["plm_tokenizer"].load(file).encode("B AA").tolist() == [0, 3, 2]
