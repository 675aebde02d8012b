"""`slmzoo resynth`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_resynth_writes_wavs_and_a_picture(capsys, clip, tmp_path):
    status, (row,), _ = run(capsys, "resynth", clip, "--zoo", "tiny", "--out", tmp_path / "o", "--num-samples", 2)
    assert status == 0
    assert len(row["wavs"]) == len(row["finished"]) == len(row["clipped_samples"]) == 2
    for name, seconds in zip(row["wavs"], row["wav_seconds"], strict=True):
        wav, rate = soundfile.read(name)
        assert len(wav) / rate == pytest.approx(seconds, abs=1e-3)
        assert np.isfinite(wav).all()
    assert Path(row["figure"]).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_resynth_repeats_with_a_seed_and_names_never_collide(capsys, clip, tmp_path):
    other = tmp_path / "clip.wav"
    other.write_bytes(clip.read_bytes())
    arguments = ("resynth", clip, other, "--zoo", "tiny", "--seed", 3, "--out")
    _, first, _ = run(capsys, *arguments, tmp_path / "a")
    _, second, _ = run(capsys, *arguments, tmp_path / "b")
    assert {Path(r["wavs"][0]).name for r in first} == {"clip.wav", "clip-2.wav"}
    for a, b in zip(first, second, strict=True):
        assert Path(a["wavs"][0]).read_bytes() == Path(b["wavs"][0]).read_bytes()


def test_speech_that_lost_a_part_is_told_with_both_lengths(capsys, clip, tmp_path):
    common = ("resynth", clip, "--zoo", "tiny", "--out", tmp_path, "--top-p", 0)
    status, (row,), err = run(capsys, *common, "--max-codec-tokens-per-phone", 0)
    assert (status, row["finished"]) == (0, [False])
    (line,) = err.splitlines()
    assert row["wav_seconds"][0] < 0.8 * row["seconds"]
    assert f"clip.wav: lasts {row['wav_seconds'][0]:.1f} s, but its units last {row['seconds']:.1f} s" in line
    status, (row,), err = run(capsys, *common, "--max-codec-tokens-per-phone", 0, "--keep-durations")
    assert (row["finished"], err) == ([True], "")
    assert row["wav_seconds"][0] == pytest.approx(row["seconds"], abs=0.03)
