"""Audio files in and out: every input gives audio or an error that names the file."""

from __future__ import annotations

import math
import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmcore import audio

FUZZ = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tone(seconds: float = 0.1, sr: int = 16000, channels: int = 1) -> torch.Tensor:
    t = torch.arange(round(seconds * sr)) / sr
    return torch.stack([0.5 * torch.sin(2 * math.pi * (220 + 110 * c) * t) for c in range(channels)])


def reads_or_says_why(path: Path, reader: Callable[[Path], tuple[torch.Tensor, int]]) -> None:
    """The contract of both readers on a file with any content at all."""
    try:
        wav, sr = reader(path)
    except (ValueError, OSError) as error:
        assert path.name in str(error)
    else:
        assert wav.dtype == torch.float32
        assert wav.ndim == 2
        assert wav.numel() > 0
        assert torch.isfinite(wav).all()
        assert sr > 0


@pytest.mark.parametrize(("name", "error"), [("a.wav", 1e-4), ("a.flac", 1e-4), ("a.ogg", 0.1), ("a.mp3", 0.1)])
def test_formats(tmp_path, name, error):
    wav = tone(0.5, channels=2)
    soundfile.write(tmp_path / name, wav.T.numpy(), 16000)
    read, sr = audio.read(tmp_path / name)
    assert (sr, read.shape[0]) == (16000, 2)
    middle = slice(2000, 6000)
    assert (read[:, middle] - wav[:, middle]).abs().max() < error


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_kinds_of_wav(tmp_path, subtype):
    wav = tone()
    soundfile.write(tmp_path / "a.wav", wav.T.numpy(), 8000, subtype=subtype)
    read, sr = audio.load(tmp_path / "a.wav")
    assert sr == 8000
    assert (read - wav).abs().max() < 0.03


def test_load_averages_channels(tmp_path):
    wav = tone(channels=2)
    soundfile.write(tmp_path / "a.wav", wav.T.numpy(), 16000, subtype="FLOAT")
    torch.testing.assert_close(audio.load(tmp_path / "a.wav")[0], wav.mean(0, keepdim=True))


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


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("This is a text.\n" * 40)
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full((400, 1), np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", np.zeros((160, 1)), 16000)
    for name, kind, message in [
        ("missing.wav", FileNotFoundError, "missing"),
        ("folder.wav", IsADirectoryError, "folder"),
        ("empty.wav", ValueError, "0 bytes"),
        ("text.wav", ValueError, "not audio"),
        ("none.wav", ValueError, "no samples"),
        ("nan.wav", ValueError, "NaN"),
        ("short.wav", ValueError, "at least 320 samples"),
    ]:
        with pytest.raises(kind, match=message) as caught:
            audio.load(tmp_path / name)
        assert name in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path):
    audio.write(tmp_path / "locked.wav", tone(), 16000)
    (tmp_path / "locked.wav").chmod(0)
    with pytest.raises(PermissionError, match=r"locked\.wav"):
        audio.load(tmp_path / "locked.wav")


@FUZZ
@given(
    content=st.binary(max_size=600), magic=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"\xff\xfb"])
)
def test_any_bytes(tmp_path, content, magic):
    path = tmp_path / "fuzz.wav"
    path.write_bytes(magic + content)
    reads_or_says_why(path, audio.read)
    reads_or_says_why(path, audio.load)


@FUZZ
@given(suffix=st.sampled_from(["wav", "flac", "ogg", "mp3"]), keep=st.floats(0, 1))
def test_truncated_files(tmp_path, suffix, keep):
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        soundfile.write(whole, tone(0.3).T.numpy(), 16000)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: int(keep * len(content))])
    reads_or_says_why(path, audio.read)


@FUZZ
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg", "mp3"]),
    at=st.integers(0, 200),
    junk=st.binary(min_size=1, max_size=8),
)
def test_damaged_headers(tmp_path, suffix, at, junk):
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        soundfile.write(whole, tone(0.3).T.numpy(), 16000)
    content = bytearray(whole.read_bytes())
    content[at : at + len(junk)] = junk
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(bytes(content))
    reads_or_says_why(path, audio.read)


@FUZZ
@given(
    channels=st.sampled_from([0, 1, 2, 7, 65535]),
    rate=st.sampled_from([0, 1, 8000, 2**31 - 1, 2**32 - 1]),
    bits=st.sampled_from([0, 1, 8, 13, 16, 64, 65535]),
    kind=st.sampled_from([0, 1, 3, 6, 7, 17, 65534]),
    size=st.sampled_from([0, 1, 640, 2**31, 2**32 - 1]),
)
def test_odd_wav_headers(tmp_path, channels, rate, bits, kind, size):
    block = min(65535, channels * bits // 8)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, channels, rate, min(2**32 - 1, rate * block), block, bits)
    path = tmp_path / "odd.wav"
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 676) + b"WAVE" + form + struct.pack("<4sI", b"data", size) + bytes(640)
    )
    reads_or_says_why(path, audio.read)


def test_check_accepts_speech_and_names_what_is_wrong():
    audio.check(torch.zeros(1, 320), 16000)
    audio.check(torch.zeros(1, 441), 22050)
    for wav, sr, message in [
        (torch.zeros(1, 319), 16000, "at least 320 samples"),
        (torch.zeros(1, 440), 22050, "at least 441 samples"),
        (torch.zeros(1, 400, dtype=torch.int16), 16000, "float tensor"),
        (torch.zeros(400), 16000, r"Use `wav\[None\]`"),
        (torch.zeros(2, 400), 16000, "Average the channels"),
        (torch.zeros(1, 1, 400), 16000, "float tensor"),
        (torch.full((1, 400), math.inf), 16000, "finite"),
        (torch.zeros(1, 400), 0, "`sr` must be"),
        (torch.zeros(1, 400), 16000.0, "`sr` must be"),
        (np.zeros((1, 400)), 16000, "a ndarray"),
    ]:
        with pytest.raises(ValueError, match=message):
            audio.check(wav, sr, "talk.wav")
    with pytest.raises(ValueError, match=r"`talk\.wav`"):
        audio.check(torch.zeros(1, 0), 16000, "talk.wav")


def test_silence_is_no_error():
    audio.check(torch.zeros(1, 400), 16000)
    assert audio.is_silent(torch.zeros(1, 400))
    assert audio.is_silent(torch.zeros(1, 0))
    assert not audio.is_silent(tone())


def test_only_a_whole_wav_of_length_zero_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    audio.write(path, torch.zeros(1, 0), 16000)
    assert audio.is_empty(path)
    audio.write(path, tone(), 16000)
    assert not audio.is_empty(path)
    for size in (44, 43, 20, 0):
        path.write_bytes(path.read_bytes()[:size])
        assert not audio.is_empty(path)


def test_resample_keeps_the_tone():
    wav = tone(0.5, 24000)
    assert audio.resample(wav, 24000, 24000) is wav
    down = audio.resample(wav, 24000, 16000)
    assert down.shape == (1, 8000)
    assert (down - tone(0.5))[:, 500:-500].abs().max() < 1e-2


def test_find_takes_files_folders_and_patterns_once(tmp_path):
    for name in ["b.wav", "a.FLAC", "sub/c.mp3", "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [
        path.name for path in audio.find([tmp_path, tmp_path / "b.wav", f"{tmp_path}/*.wav", f"{tmp_path}/**/*.mp3"])
    ]
    assert names == ["a.FLAC", "b.wav", "c.mp3"]
    assert audio.find(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    assert audio.find([]) == []
    for nothing in ("missing.wav", "*.ogg"):
        with pytest.raises(FileNotFoundError):
            audio.find(str(tmp_path / nothing))


def test_find_takes_a_name_with_brackets(tmp_path):
    (tmp_path / "take[1].wav").write_bytes(b"x")
    assert audio.find(str(tmp_path / "take[1].wav")) == [tmp_path / "take[1].wav"]


def test_reading_leaves_no_open_files(tmp_path):
    audio.write(tmp_path / "a.wav", tone(), 16000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            audio.read(tmp_path / "a.wav")
