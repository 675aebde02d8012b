"""Lists that an editor saved with a byte-order mark are read as those without."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmzoo.evaluation.likelihood.layouts import csv_of_pairs
from slmzoo.evaluation.likelihood.zerospeech import read_gold, read_scores
from slmzoo.evaluation.speech.textmodels import text_model
from slmzoo.training.data.unit_files import load_array

GOLD = "filename,id,voice,frequency,word,length,correct\na,1,v,,yes,3,1\nb,1,v,,yos,3,0\n"


def of_pairs(path: Path) -> object:
    return [(pair.positive, pair.negative) for pair in csv_of_pairs(path).pairs]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("gold.csv", GOLD, lambda path: read_gold(path, "lexical")),
        ("scores.txt", "a -1.5\nb -2\n", read_scores),
        ("pairs.csv", "positive,negative\na.wav,b.wav\n", of_pairs),
        ("corpus.txt", "the dog\nthe cat\n", lambda path: text_model(f"ngram:{path}")("the dog")),
        ("a.txt", "u7 u7 u12", lambda path: load_array(path, 20, "units").tolist()),
    ],
)
def test_a_byte_order_mark_changes_nothing(tmp_path, name, text, read):
    read_of = {}
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / encoding / name
        path.parent.mkdir()
        path.write_text(text, encoding=encoding)
        read_of[encoding] = read(path)
    assert read_of["utf-8"] == read_of["utf-8-sig"]
