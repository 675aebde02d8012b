"""`slmzoo fetch` and `slmzoo verify`."""

from __future__ import annotations

import pytest

from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_fetch_and_verify(capsys):
    status, rows, _ = run(capsys, "fetch", 20, 4, "--zoo", "tiny")
    assert status == 0
    assert [row["kind"] for row in rows] == ["wavlm", "codebook", "ulm", "ellav", "wavtokenizer"]
    assert run(capsys, "fetch", "--all", "--zoo", "tiny")[1] == rows
    status, verified, _ = run(capsys, "verify", "--zoo", "tiny")
    assert status == 0
    assert {len(row["sha256"]) for row in verified} == {64}
