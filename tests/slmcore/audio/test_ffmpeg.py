"""What libsndfile does not read is decoded by ffmpeg, whole or not at all; without it the remedy is named."""

from __future__ import annotations

import io
import logging
import subprocess
from pathlib import Path

import pytest
import soundfile
import torch

from slmcore import audio
from slmcore.audio import ffmpeg
from tests.reference.tones import tone

pytestmark = pytest.mark.skipif(not ffmpeg.installed(), reason="ffmpeg is not installed")
FORMATS = ["m4a", "mp4", "aac", "webm", "mka", "wma"]


def make(path: Path, *options: str, seconds: float = 2.0, channels: int = 1) -> Path:
    source = path.with_name("source.wav")
    audio.write(source, tone(seconds, channels=channels), 16000)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), *options, f"file:{path}"]
    subprocess.run(command, check=True)
    source.unlink()
    return path


def likeness(wav: torch.Tensor, sr: int, seconds: float = 2.0) -> float:
    """Correlation with the tone, at the best of the delays that codecs have."""
    made, expected = audio.resample(wav, sr, 16000)[0, 4000:], tone(seconds)[0, 4000:-4000]
    windows = made[: len(expected) + 2500].unfold(0, len(expected), 1)
    norms = windows.norm(dim=1) * expected.norm()
    return float((windows @ expected / norms).max())


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_formats_are_read(tmp_path, suffix):
    path = make(tmp_path / f"a.{suffix}", *(["-strict", "-2"] if suffix == "webm" else []))
    wav, sr = audio.load(path)
    assert wav.shape[1] / sr == pytest.approx(2.0, abs=0.15)
    assert likeness(wav, sr) > 0.97
    assert audio.length(path) == (wav.shape[1], sr)


def test_rate_and_channels_are_the_files_own(tmp_path):
    wav, sr = audio.read(make(tmp_path / "a.m4a", "-ar", "22050", channels=2))
    assert (wav.shape[0], sr) == (2, 22050)
    assert (wav[0] - wav[1]).abs().max() > 0.1


@pytest.mark.parametrize("options", [[], ["-movflags", "+faststart"]])
@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_was_cut_off_is_refused(tmp_path, suffix, options, keep):
    if options and suffix not in ("m4a", "mp4"):
        pytest.skip("only mp4 has its table at either end")
    path = make(tmp_path / f"a.{suffix}", *options)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=rf"a\.{suffix} .*\(ffmpeg\)"):
        audio.read(path)


def test_a_part_is_what_the_whole_holds_there(tmp_path):
    path = make(tmp_path / "a.m4a")
    whole, sr = audio.read(path)
    with path.open("rb") as file:
        assert torch.equal(audio.decode(file, "a", 0.5, 0.25)[0], whole[:, sr // 2 : sr // 2 + sr // 4])
        assert torch.equal(audio.decode(file, "a", 1.5)[0], whole[:, 3 * sr // 2 :])
        with pytest.raises(ValueError, match=r"begins at 5 s, but a lasts 2\.\d\d s"):
            audio.decode(file, "a", 5.0)
        with pytest.raises(ValueError, match=r"holds only"):
            audio.decode(file, "a", 1.5, 1.0)


def test_an_open_file_need_not_lie_on_a_disk(tmp_path):
    path = make(tmp_path / "a.m4a")
    assert torch.equal(audio.decode(io.BytesIO(path.read_bytes()), "in a tar")[0], audio.read(path)[0])


@pytest.mark.parametrize("name", ["-i.m4a", "a b'c.m4a", "%d.m4a", "http:a.m4a", "concat:x|y.m4a"])
def test_no_name_is_an_option_or_a_protocol(tmp_path, monkeypatch, name):
    make(tmp_path / "a.m4a").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert audio.read(Path(name))[0].shape[1] > 30000


def test_an_mp3_without_a_true_length_is_read_whole(tmp_path):
    path = make(tmp_path / "a.mp3", "-q:a", "5", "-write_xing", "0", seconds=4.0)
    content = path.read_bytes()
    quiet = make(tmp_path / "b.mp3", "-q:a", "9", "-write_xing", "0", "-af", "volume=0", seconds=4.0).read_bytes()
    path.write_bytes(quiet + content)
    assert soundfile.info(path).duration == pytest.approx(8.0, abs=0.3) or soundfile.info(path).duration > 9
    wav, sr = audio.read(path)
    assert wav.shape[1] / sr == pytest.approx(8.1, abs=0.2)
    assert wav[:, : 3 * sr].abs().max() < 1e-3
    assert likeness(wav[:, -4 * sr :], sr, 4.0) > 0.97


def test_what_holds_no_audio_is_refused(tmp_path):
    (tmp_path / "a.m4a").write_text("This is a text.\n" * 100)
    with pytest.raises(ValueError, match=r"a\.m4a is not audio that can be read: .*\(libsndfile\); .*\(ffmpeg\)"):
        audio.read(tmp_path / "a.m4a")
    video = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=d=1:size=64x64",
        str(tmp_path / "b.mp4"),
    ]
    subprocess.run(video, check=True)
    with pytest.raises(ValueError, match=r"b\.mp4 .*it holds no audio stream"):
        audio.read(tmp_path / "b.mp4")


def test_a_playlist_reaches_no_network(tmp_path):
    (tmp_path / "a.m4a").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(ValueError, match=r"a\.m4a"):
        audio.read(tmp_path / "a.m4a")


def test_it_is_said_once_that_ffmpeg_decodes(tmp_path, caplog):
    ffmpeg._say_once.cache_clear()
    path = make(tmp_path / "a.m4a")
    with caplog.at_level(logging.INFO, "slmcore.audio"):
        audio.read(path)
        audio.read(path)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["Files that libsndfile cannot read are decoded by ffmpeg."]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.INFO] == [
        f"{path} is decoded by ffmpeg."
    ] * 2


def test_without_ffmpeg_the_remedy_is_named(tmp_path, monkeypatch):
    path = make(tmp_path / "a.m4a")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"a\.m4a is not audio .* install ffmpeg \(Debian: `apt install ffmpeg`"):
        audio.read(path)
