"""Recordings of a training set: their lengths are those of what is read, and what is not whole stops the run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import soundfile
import torch

from slmcore import audio
from slmzoo.training.data.recordings import Recordings
from tests.reference.tones import tone


def flac_of_unknown_length(path: Path, seconds: float) -> None:
    content = io.BytesIO()
    soundfile.write(content, tone(seconds).T.numpy(), 16000, format="FLAC")
    damaged = bytearray(content.getvalue())
    damaged[21] &= 0xF0
    damaged[22:26] = bytes(4)
    path.write_bytes(damaged)


def test_lengths_and_pieces_of_files_that_do_not_state_their_length(tmp_path):
    flac_of_unknown_length(tmp_path / "a.flac", 2.0)
    audio.write(tmp_path / "b.wav", tone(1.0), 16000)
    made = Recordings([str(tmp_path)], 16000)
    assert made.lengths.tolist() == [32000, 16000]
    torch.testing.assert_close(made.piece(0, 24000, 4000), tone(2.0)[0, 24000:28000], rtol=0, atol=1e-4)
    torch.testing.assert_close(made.piece(1, 12000, 4000), tone(1.0)[0, 12000:], rtol=0, atol=1e-4)


def test_a_recording_that_was_cut_off_is_named(tmp_path):
    audio.write(tmp_path / "a.wav", tone(1.0), 16000)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-8000])
    with pytest.raises(ValueError, match=r"b\.wav was cut off: 0\.25 s are missing"):
        Recordings([str(tmp_path)], 16000)
