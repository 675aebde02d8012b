"""Wavs out: whole or not at all, clipped and counted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import soundfile
import torch

from slmcore import audio
from tests.reference.tones import tone


def test_write_then_read_is_within_half_a_step(tmp_path):
    wav = tone(channels=2)
    assert audio.write(tmp_path / "a.wav", wav, 22050) == 0
    read, sr = audio.read(tmp_path / "a.wav")
    assert sr == 22050
    assert (read - wav).abs().max() < 1.5 / 32767
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_write_clips_and_counts(tmp_path):
    wav = torch.tensor([[0.0, 1.5, -2.0, 1.0, -1.0, 0.5]])
    assert audio.write(tmp_path / "a.wav", wav, 16000) == 2
    assert audio.read(tmp_path / "a.wav")[0].abs().max() <= 1
    assert wav[0, 1] == 1.5


def test_write_takes_any_float_and_an_empty_wav(tmp_path):
    assert audio.write(tmp_path / "half.wav", tone().half()[0], 16000) == 0
    assert audio.read(tmp_path / "half.wav")[0].shape == (1, 1600)
    audio.write(tmp_path / "empty.wav", torch.zeros(1, 0), 16000)
    assert soundfile.info(tmp_path / "empty.wav").frames == 0


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    audio.write(tmp_path / "a.wav", tone(), 16000)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(ValueError, match=r"a\.wav was not written"):
        audio.write(tmp_path / "a.wav", torch.full((1, 400), math.nan), 16000)

    def full(file, *args, **kwargs):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OSError, match="No space"):
        audio.write(tmp_path / "a.wav", tone(), 16000)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_write_into_a_missing_folder_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        audio.write(tmp_path / "nowhere" / "a.wav", tone(), 16000)


def test_a_wav_goes_through_a_link_and_into_a_device(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "a.wav").symlink_to("far/b.wav")
    audio.write(tmp_path / "a.wav", tone(), 16000)
    assert (tmp_path / "a.wav").is_symlink()
    assert soundfile.info(tmp_path / "far" / "b.wav").frames == 1600
    audio.write("/dev/null", tone(), 16000)
    assert Path("/dev/null").is_char_device()


def test_a_long_name_fits(tmp_path):
    audio.write(tmp_path / f"{'L' * 251}.wav", tone(), 16000)
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
