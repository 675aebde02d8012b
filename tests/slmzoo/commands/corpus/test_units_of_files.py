"""`slmzoo units` on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from slmcore import audio
from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_units(capsys, clip, pipeline):
    status, (row,), err = run(capsys, "units", clip, "--zoo", "tiny")
    expected = pipeline.units(*audio.load(clip))
    assert (status, err) == (0, "")
    assert (row["units"], row["durations"]) == (expected.units.tolist(), expected.durations.tolist())
    assert (row["zoo"], row["k"], row["lmbda"], row["num_neighbors"]) == ("tiny", 20, 4.0, 6)
    assert row["units_per_second"] == pytest.approx(len(row["units"]) / row["seconds"], rel=1e-3)


def test_units_at_any_lambda(capsys, clip):
    nearest, coarse = (run(capsys, "units", clip, "--zoo", "tiny", "--lmbda", x)[1][0]["units"] for x in (0, 1000))
    assert len(nearest) > len(coarse)


def test_folders_globs_and_other_formats(capsys, clip, tmp_path):
    wav, rate = soundfile.read(clip)
    stereo = np.stack([wav, wav], 1)
    for name, kind in (("a.flac", None), ("b.ogg", None), ("c.mp3", None)):
        soundfile.write(tmp_path / name, stereo, rate, format=kind)
    _, rows, _ = run(capsys, "units", tmp_path, "--zoo", "tiny")
    assert [Path(r["file"]).name for r in rows] == ["a.flac", "b.ogg", "c.mp3"]
    _, rows, _ = run(capsys, "units", tmp_path / "*.[fo]*", "--zoo", "tiny")
    assert [Path(r["file"]).name for r in rows] == ["a.flac", "b.ogg"]
