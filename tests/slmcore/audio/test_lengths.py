"""What is read is as long as its header or stream says, or it is refused or told."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmcore import audio
from slmcore.audio import mpeg
from tests.reference.tones import tone

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def speech(seconds: float) -> torch.Tensor:
    """Quiet, then loud, so that the bit rate of the beginning is not that of the rest."""
    wav = tone(seconds) + 0.2 * torch.randn(1, round(seconds * 16000), generator=torch.Generator().manual_seed(0))
    wav[:, : wav.shape[1] // 3] *= 0.01
    return wav


def encoded(kind: str, seconds: float = 1.0, **options: float | str) -> bytes:
    content, (form, subtype) = io.BytesIO(), KINDS[kind]
    soundfile.write(content, speech(seconds).T.numpy(), 16000, format=form, subtype=subtype, **options)
    return content.getvalue()


def headless(content: bytes) -> bytes:
    """An mp3 without the frame that tells its length: from the second sync word on."""
    start = content.index(b"\xff\xf3")
    assert b"Info" in content[start : start + 60] or b"Xing" in content[start : start + 60]
    return content[content.index(b"\xff\xf3", start + 60) :]


def samples_of(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    return audio.read(path)[0].shape[1]


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read_whole(tmp_path, kind):
    assert samples_of(tmp_path / f"a.{kind}", encoded(kind)) == 16000


@pytest.mark.usefixtures("without_ffmpeg")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", [0.5, 0.97])
def test_what_was_cut_off_is_refused_by_name(tmp_path, kind, keep):
    content = encoded(kind)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r"cut\.\w+") as caught:
        audio.read(path)
    if kind != "flac":
        assert "was cut off" in str(caught.value)


@pytest.mark.parametrize(("keep", "missing"), [(0.5, "0.50"), (0.9, "0.10")])
def test_how_much_is_missing_is_said(tmp_path, keep, missing):
    content = encoded("wav", 1.0)
    (tmp_path / "a.wav").write_bytes(content[: 44 + int(keep * 32000)])
    with pytest.raises(ValueError, match=rf"cut off: {missing} s are missing.*the {keep:.2f} s that are there"):
        audio.read(tmp_path / "a.wav")


@FUZZ
@pytest.mark.usefixtures("without_ffmpeg")
@given(kind=st.sampled_from(sorted(KINDS)), cut=st.integers(2, 30000))
def test_no_beginning_of_a_file_passes_for_the_whole(tmp_path, kind, cut):
    whole = tmp_path / f"whole.{kind}"
    if not whole.exists():
        whole.write_bytes(encoded(kind))
    content = whole.read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(content[: max(0, len(content) - cut)])
    with pytest.raises(ValueError, match=r"cut\."):
        audio.read(path)


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg"])
def test_a_part_that_is_there_is_read_from_a_file_that_was_cut_off(tmp_path, kind):
    content = encoded(kind, 2.0)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content[: int(0.9 * len(content))])
    with path.open("rb") as file:
        assert audio.decode(file, "a", 0.25, 0.5)[0].shape == (1, 8000)
        with pytest.raises(ValueError, match="cut off"):
            audio.decode(file, "a", 0.25)


def test_a_flac_of_unknown_length_is_read_whole(tmp_path):
    content = bytearray(encoded("flac", 5.0))
    content[21] &= 0xF0  # STREAMINFO: the lower 36 bits of these five bytes are the number of samples
    content[22:26] = bytes(4)
    assert samples_of(tmp_path / "a.flac", bytes(content)) == 80000
    assert audio.length(tmp_path / "a.flac") == (80000, 16000)
    (tmp_path / "b.flac").write_bytes(encoded("flac", 5.0))
    assert torch.equal(audio.read(tmp_path / "a.flac")[0], audio.read(tmp_path / "b.flac")[0])
    with (tmp_path / "a.flac").open("rb") as file:
        assert torch.equal(audio.decode(file, "a", 4.5, 0.25)[0], audio.read(tmp_path / "b.flac")[0][:, 72000:76000])
        with pytest.raises(ValueError, match=r"begins at 6 s, but a lasts 5\.00 s"):
            audio.decode(file, "a", 6.0, 0.25)
    (tmp_path / "c.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"c\.flac"):
        audio.read(tmp_path / "c.flac")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_wav_whose_recorder_died_is_read_and_told(tmp_path, caplog, order):
    content = bytearray(encoded("wav"))
    if order == ">":
        wav = np.frombuffer(bytes(content[44:]), "<i2").astype(">i2").tobytes()
        form = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
        content = bytearray(b"RIFX" + bytes(4) + b"WAVE" + form + b"data" + bytes(4) + wav)
    content[4:8] = content[40:44] = bytes(4)
    assert samples_of(tmp_path / "a.wav", bytes(content)) == 16000
    assert caplog.messages == [
        f"{tmp_path}/a.wav: its header says 0 bytes of audio, as after a crash of the recorder; all of it is read."
    ]
    (tmp_path / "b.wav").write_bytes(encoded("wav"))
    assert torch.equal(audio.read(tmp_path / "a.wav")[0], audio.read(tmp_path / "b.wav")[0])
    assert not audio.is_empty(tmp_path / "a.wav")
    assert audio.length(tmp_path / "a.wav") == (16000, 16000)


def test_an_empty_wav_with_more_chunks_is_empty(tmp_path):
    audio.write(tmp_path / "a.wav", torch.zeros(1, 0), 16000)
    content = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO"
    with pytest.raises(ValueError, match="holds no samples"):
        samples_of(tmp_path / "a.wav", content)
    assert audio.is_empty(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFFFFF, 0x7FFFF024])
def test_a_wav_from_a_pipe_ends_with_the_file(tmp_path, caplog, size):
    content = bytearray(encoded("wav"))
    content[4:8] = content[40:44] = struct.pack("<I", size)
    assert samples_of(tmp_path / "a.wav", bytes(content)) == 16000
    assert caplog.messages == []


@pytest.mark.usefixtures("without_ffmpeg")
def test_an_mp3_without_a_true_length_is_refused_with_the_remedy(tmp_path):
    content = headless(encoded("mp3", 3.0, bitrate_mode="VARIABLE", compression_level=0.5))
    (tmp_path / "a.mp3").write_bytes(content)
    assert soundfile.info(tmp_path / "a.mp3").frames < 0.9 * 3 * 16000
    message = r"a\.mp3 lasts 3\.\d\d s, but .* only [012]\.\d\d s are read\. .*`ffmpeg -i in\.mp3 -c copy out\.mp3`"
    with pytest.raises(ValueError, match=message):
        audio.read(tmp_path / "a.mp3")
    with pytest.raises(ValueError, match=message):
        audio.length(tmp_path / "a.mp3")


@pytest.mark.usefixtures("without_ffmpeg")
def test_an_mp3_of_constant_bit_rate_needs_no_header(tmp_path):
    content = headless(encoded("mp3", 3.0, bitrate_mode="CONSTANT", compression_level=0.5))
    (tmp_path / "a.mp3").write_bytes(content)
    read = audio.read(tmp_path / "a.mp3")[0].shape[1]
    assert 3 * 16000 <= read <= 3 * 16000 + 4 * 576
    assert audio.length(tmp_path / "a.mp3")[0] == pytest.approx(read, abs=2 * 576)
    (tmp_path / "b.mp3").write_bytes(content[:-50])
    with pytest.raises(ValueError, match=r"b\.mp3 was cut off: it ends within a frame"):
        audio.read(tmp_path / "b.mp3")


@pytest.mark.usefixtures("without_ffmpeg")
def test_two_mp3_in_one_file_are_not_read_as_the_first(tmp_path):
    one = encoded("mp3", 1.0)
    (tmp_path / "a.mp3").write_bytes(one + one)
    with pytest.raises(ValueError, match=r"a\.mp3 lasts 2\.\d\d s.* only 1\.00 s are read"):
        audio.read(tmp_path / "a.mp3")


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT", "AVERAGE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_are_counted(rate, mode, channels):
    content = io.BytesIO()
    wav = torch.cat([speech(1.0)] * channels)
    soundfile.write(content, wav.T.numpy(), rate, format="MP3", bitrate_mode=mode, compression_level=0.3)
    found = mpeg.counted(content.getvalue())
    assert found is not None
    assert (found.frames, found.rate, found.cut_off) == (found.declared, rate, False)
    delay = found.samples - 16000  # of the encoder, and up to a frame of padding
    assert 0 < delay <= 1105 + 3 * found.samples_per_frame
    tagged = b"ID3\4\0\0\0\0\1\x00" + b"\xff\xfb" * 64 + content.getvalue() + b"TAG" + bytes(125)
    assert mpeg.counted(tagged) == found


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"\xff\xfb\x90", bytes(5000), b"\xff" * 5000, b"ID3\4\0\0\x7f\x7f\x7f\x7f"]
)
def test_what_has_no_frames_is_not_counted(content):
    assert mpeg.counted(content) is None


@FUZZ
@given(st.binary(max_size=2000))
def test_counting_takes_any_bytes(content):
    found = mpeg.counted(content)
    assert found is None or found.frames >= 0
