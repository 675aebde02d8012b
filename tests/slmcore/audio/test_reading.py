"""Audio files in: every input gives audio or an error that names the file."""

from __future__ import annotations

import io
import math
import os
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmcore import audio
from tests.reference.tones import tone

FUZZ = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROOT = Path(__file__).parents[3]


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
@pytest.mark.usefixtures("without_ffmpeg")
@given(
    content=st.binary(max_size=600), magic=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3\x03", b"\xff\xfb"])
)
def test_any_bytes(tmp_path, content, magic):
    path = tmp_path / "fuzz.wav"
    path.write_bytes(magic + content)
    reads_or_says_why(path, audio.read)
    reads_or_says_why(path, audio.load)


@FUZZ
@pytest.mark.usefixtures("without_ffmpeg")
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
@pytest.mark.usefixtures("without_ffmpeg")
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
@pytest.mark.usefixtures("without_ffmpeg")
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


def test_only_a_whole_wav_of_length_zero_is_empty(tmp_path):
    path = tmp_path / "a.wav"
    audio.write(path, torch.zeros(1, 0), 16000)
    assert audio.is_empty(path)
    audio.write(path, tone(), 16000)
    assert not audio.is_empty(path)
    for size in (44, 43, 20, 0):
        path.write_bytes(path.read_bytes()[:size])
        assert not audio.is_empty(path)


def test_reading_leaves_no_open_files(tmp_path):
    audio.write(tmp_path / "a.wav", tone(), 16000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_part_is_what_the_whole_holds_there(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(1.0, channels=2).T.numpy(), 16000)
    whole, _ = audio.read(path)
    for start, seconds in [(0, 0.25), (0.25, 0.25), (0.5, 0.25), (0.5, None), (0.75, 0.25), (0.98, 0.04)]:
        with path.open("rb") as file:
            part, sr = audio.decode(file, "a", start, seconds)
        end = None if seconds is None else round((start + seconds) * 16000)
        assert sr == 16000
        torch.testing.assert_close(part, whole[:, round(start * 16000) : end], rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_part_may_end_25_ms_behind_the_file(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(1.0).T.numpy(), 16000)
    with path.open("rb") as file:
        for start, seconds, samples in [(0.5, 0.525, 8000), (0.0, 1.0004, 16000), (0.9, 0.125, 1600)]:
            assert audio.decode(file, "a", start, seconds)[0].shape == (1, samples)
        with pytest.raises(ValueError, match=r"a holds only 0\.50 s of the 0\.526 s from 0\.5 s on"):
            audio.decode(file, "a", 0.5, 0.526)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_start_behind_the_end_says_so(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(2.0).T.numpy(), 16000)
    for start, seconds in [(2.0, None), (100, 0.5), (100, None)]:
        with path.open("rb") as file, pytest.raises(ValueError, match=rf"begins at {start:g} s, but a lasts 2\.00 s"):
            audio.decode(file, "a", start, seconds)


@pytest.mark.parametrize(
    ("start", "seconds", "name"),
    [
        *[(-0.5, None, "start"), (math.nan, 1.0, "start"), (math.inf, None, "start")],
        *[(0.0, 0.0, "seconds"), (0.0, -1.0, "seconds"), (0.0, math.inf, "seconds"), (1.0, math.nan, "seconds")],
    ],
)
def test_parts_that_are_none_are_refused(tmp_path, start, seconds, name):
    audio.write(tmp_path / "a.wav", tone(), 16000)
    with (tmp_path / "a.wav").open("rb") as file, pytest.raises(ValueError, match=f"`{name}` must be a finite number"):
        audio.decode(file, "a", start, seconds)


def test_channels_that_cancel_are_no_silence(tmp_path):
    soundfile.write(tmp_path / "a.wav", torch.cat([tone(), -tone()]).T.numpy(), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"The 2 channels of .*a\.wav cancel"):
        audio.load(tmp_path / "a.wav")
    assert audio.read(tmp_path / "a.wav")[0].abs().max() > 0.4


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_pipe_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(0.5).T.numpy(), 16000)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()))
    writer.start()
    wav, _ = audio.read(tmp_path / "pipe")
    writer.join()
    assert torch.equal(wav, audio.read(path)[0])


@pytest.mark.parametrize(("name", "piped"), [("-", True), ("/dev/stdin", False)])
def test_the_standard_input_is_read(tmp_path, name, piped):
    audio.write(tmp_path / "a.wav", tone(), 16000)
    script = f"from slmcore import audio; w, sr = audio.load({name!r}); print(w.shape[1], sr, float(w.abs().max()))"
    with (tmp_path / "a.wav").open("rb") as file:
        given: dict[str, Any] = {"input": file.read()} if piped else {"stdin": file}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=ROOT, **given)
    samples, sr, peak = done.stdout.split()
    assert (int(samples), int(sr), round(float(peak), 2)) == (1600, 16000, 0.5)


def test_lengths_are_those_of_what_is_read(tmp_path):
    for suffix in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"a.{suffix}"
        soundfile.write(path, tone(0.7, 22050).T.numpy(), 22050)
        wav, sr = audio.read(path)
        assert audio.length(path) == (wav.shape[1], sr)
    path.write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match="not audio"):
        audio.length(path)


def test_a_header_that_says_much_is_no_memory(tmp_path):
    content = io.BytesIO()
    soundfile.write(content, tone().T.numpy(), 16000, format="FLAC")
    damaged = bytearray(content.getvalue())
    damaged[21:26] = b"\xf3\xff\xff\xff\xff"  # STREAMINFO: 2^34 - 1 samples
    (tmp_path / "a.flac").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"a\.flac"):
        audio.read(tmp_path / "a.flac")
