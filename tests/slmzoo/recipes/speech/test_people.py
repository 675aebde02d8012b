"""Recordings of people: an archive and prompts in the packages' layouts, made here."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

import pytest
import soundfile
import torch

from slmcore import audio
from slmzoo.recipes.speech.people import GAME, dialogue, make
from tests.reference.programs import needs_ffmpeg

RATE = 11025


def tone(seconds: float, rate: int) -> torch.Tensor:
    return 0.3 * (torch.arange(round(seconds * rate)) * 2 * torch.pi * 500 / rate).sin()


def mp3(seconds: float) -> bytes:
    place = io.BytesIO()
    soundfile.write(place, tone(seconds, RATE).numpy(), RATE, format="MP3")
    return place.getvalue()


def archive(path: Path, entries: dict[str, bytes], compression: int = 1) -> Path:
    """Write ScummVM's layout: a table of names, bundles, places and sizes, then the contents."""
    header = struct.pack(">4s6sBBBH", b"QTBL", b"CEM10", 0, 0, compression, len(entries))
    place, table = len(header) + 21 * len(entries), b""
    for name, content in entries.items():
        table += struct.pack(">12sBII", name.encode(), 1, place, len(content))
        place += len(content)
    path.write_bytes(header + table + b"".join(entries.values()))
    return path


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Prompts of 1.4 s, 1.6 s and 26 s, and silence, in a language."""
    folder = tmp_path_factory.mktemp("fr")
    for name, seconds in (("short", 1.4), ("digits/one", 1.6), ("long", 26.0), ("silence/2", 2.0)):
        source, place = folder / "tone.wav", folder / "sounds" / f"{name}.g722"
        place.parent.mkdir(parents=True, exist_ok=True)
        audio.write(source, tone(seconds, 16_000)[None], 16_000)
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), "-f", "g722", str(place)], check=True)
    return {"fr": folder / "sounds"}


@needs_ffmpeg
def test_speech_of_1_5_to_25_seconds_is_written_at_16_khz(prompts, tmp_path):
    lines = {"020001P2.SB": mp3(1.4), "C18A_062.SB": mp3(1.6), "QUEEN.JAS": b"text", "LONG.SB": mp3(26.0)}
    game = archive(tmp_path / "queen.1c", lines)
    make(tmp_path, game, prompts)
    written = {file.relative_to(tmp_path / "people").as_posix(): file for file in audio.find([tmp_path / "people"])}
    assert written.keys() == {"queen/C18A_062.wav", "fr/digits/one.wav"}
    for file in written.values():
        wav, rate = audio.load(file)
        assert (rate, len(wav)) == (16_000, 1)
        assert wav.shape[-1] / rate == pytest.approx(1.6, abs=0.15)
        assert wav[0, 8000:16_000].std() == pytest.approx(0.3 / 2**0.5, rel=0.1)
    written["queen/C18A_062.wav"].write_bytes(b"kept")
    make(tmp_path, game, prompts)
    assert written["queen/C18A_062.wav"].read_bytes() == b"kept"


def test_only_spoken_lines_are_read_each_from_its_place(tmp_path):
    entries = {"A.SB": b"first", "ROOM.PCX": b"picture", "B_1.SB": b"second", "../up.SB": b"escape"}
    assert dict(dialogue(archive(tmp_path / "queen.1c", entries))) == {"A": b"first", "B_1": b"second"}


@pytest.mark.parametrize("content", [b"", b"QTBL", b"RIFF" + bytes(40)])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "queen.1c").write_bytes(content)
    with pytest.raises(ValueError, match=r"queen.1c` must be the game's archive with mp3"):
        dict(dialogue(tmp_path / "queen.1c"))


def test_another_compression_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be the game's archive with mp3"):
        dict(dialogue(archive(tmp_path / "queen.1c", {"A.SB": b"ogg"}, compression=2)))


def test_missing_packages_are_named_with_their_remedy(tmp_path):
    absent = {"fr": tmp_path / "fr"}
    with pytest.raises(FileNotFoundError, match="apt install flight-of-the-amazon-queen asterisk-core-sounds-fr-g722"):
        make(tmp_path, tmp_path / "queen.1c", absent)
    assert not (tmp_path / "people").exists()


@pytest.mark.skipif(not GAME.exists(), reason="reads the game's archive: apt install flight-of-the-amazon-queen")
def test_the_package_has_6745_lines():
    assert len(dict(dialogue(GAME))) == 6745
