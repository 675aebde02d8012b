"""`slmzoo continue`."""

from __future__ import annotations

import pytest
import soundfile

from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_continue(capsys, clip, tmp_path):
    common = ("--zoo", "tiny", "--max-new-units", 8, "--seed", 1, "--out", tmp_path)
    status, (row,), _ = run(capsys, "continue", clip, "--prompt-seconds", 0.5, "--num-samples", 2, *common)
    assert status == 0
    assert len(row["units"]) == len(row["wavs"]) == len(row["ended"]) == 2
    assert all(soundfile.info(name).frames > 0 for name in row["wavs"])
    status, (row,), _ = run(capsys, "continue", *common)
    assert (status, row["file"], row["prompt"]) == (0, None, [])
    assert soundfile.info(row["wavs"][0]).frames > 0
