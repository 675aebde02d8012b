"""`slmzoo cite`."""

from __future__ import annotations

import re

import pytest

from slmcore.files import registry
from slmcore.files.rows import Row
from slmzoo.citations import PAPERS, bibtex, papers_of
from slmzoo.cli import main


def cited(capsys, *words: str) -> list[str]:
    assert main(["cite", *words]) == 0
    return re.findall(r"^@\w+\{(\w+),$", capsys.readouterr().out, re.MULTILINE)


def test_papers_of_an_operating_point(capsys):
    keys = cited(capsys, "dp-slm", "500", "4500")
    assert set(keys) == {
        *("visser2025spoken", "kamper2023word", "chen2021wavlm", "song2024ellav", "ji2024wavtokenizer", "slmzoo"),
    }
    assert len(set(keys)) == len(keys)
    assert keys[-1] == "slmzoo"


def test_papers_of_another_system(capsys):
    keys = cited(capsys, "gslm", "gslm_ulm", "hubert", "100")
    assert keys[0] == "lakhotia2021gslm"
    assert {"hsu2021hubert", "shen2017natural", "prenger2018waveglow"} <= set(keys)
    assert not {"visser2025spoken", "chen2021wavlm"} & set(keys)


def test_without_names_the_software_alone(capsys):
    assert cited(capsys) == ["slmzoo"]


def test_a_name_that_no_model_has(capsys):
    assert main(["cite", "wavlmm"]) == 2
    assert "wavlm" in capsys.readouterr().err.partition("Did you mean")[2]


@pytest.mark.parametrize("row", registry.rows(), ids=lambda row: row.label)
def test_every_paper_that_an_origin_names_is_known(row: Row):
    assert set(re.findall(r"\d{4}\.\d{5}", row.origin)) <= set(papers_of(row))


def test_entries_are_balanced_and_keys_differ():
    assert len({paper.key for paper in PAPERS.values()}) == len(PAPERS)
    for number in PAPERS:
        text = bibtex(number)
        assert text.count("{") == text.count("}")
        assert f"eprint        = {{{number}}}" in text
    assert "journal       = {arXiv:2110.13900}" in bibtex("2110.13900")
    assert bibtex("2110.13900").startswith("@article{")
    assert "booktitle     = {Proc. Interspeech}" in bibtex("2505.23494")
    assert bibtex("2505.23494").startswith("@inproceedings{")
