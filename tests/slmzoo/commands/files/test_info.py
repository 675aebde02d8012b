"""`slmzoo info`."""

from __future__ import annotations

import pytest

from slmzoo.cli import main
from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_a_model_with_what_it_belongs_with(capsys):
    status, (row,), _ = run(capsys, "info", "dp-slm", "ellav", "500", "4500")
    assert status == 0
    assert (row["kind"], row["role"], row["state"], row["frame_rate"]) == ("ellav", "acoustic model", "absent", 50.0)
    partners = {(other["kind"], other["k"], other["lmbda"]) for other in row["belongs_with"]}
    assert {("wavlm", None, None), ("codebook", 500, None), ("ulm", 500, 4500.0)} <= partners
    assert not {(kind, k) for kind, k, _ in partners} & {("codebook", 100), ("ulm", 100), ("ellav", 500)}


def test_models_by_kind_or_file(capsys, registry):
    _, rows, _ = run(capsys, "info", "codebook", "--zoo", "tiny")
    assert [(row["zoo"], row["k"], row["state"]) for row in rows] == [("tiny", 20, "own")]
    assert rows[0]["path"] == str(registry.parent / rows[0]["file"])
    assert run(capsys, "info", rows[0]["file"], "tiny")[1] == rows


def test_an_unknown_name_is_answered_by_near_ones(capsys):
    status, rows, err = run(capsys, "info", "wavlmm")
    assert (status, rows) == (2, [])
    assert "named by wavlmm" in err
    assert "wavlm" in err.partition("Did you mean")[2]
    status, _, err = run(capsys, "info", "tiny", "hubert")
    assert (status, "tiny and hubert together" in err) == (2, True)


def test_a_paragraph_for_a_person(capsys, terminal):
    assert main(["info", "wavlm", "--zoo", "dp-slm"]) == 0
    out = capsys.readouterr().out
    assert "about 1.26GB" in out
    assert "codebook (5)" in out
    assert "50 Hz" in out
