"""Recordings of people with their texts."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmzoo.recipes.speech.recorded import PROMPTS, TEXTS, prompts, recordings
from tests.reference.programs import needs_ffmpeg

SIX, TWENTY = "one two three four five six", " ".join(["word"] * 20)


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, Path]:
    """Folder and texts in the package's layout: twelve prompts to take, and some of each kind to leave."""
    sounds, texts = tmp_path / "sounds", tmp_path / "texts.txt.gz"
    left = {"short": "one two three four five", "long": TWENTY + " word", "digit": SIX + " 7", "tone": f"[{SIX}]"}
    takes = {**{f"take-{i:02d}": SIX for i in range(11)}, "sub/take": TWENTY, "absent": SIX, **left}
    lines = ["; A comment: one two three four five six", "", *(f"{name}: {text}" for name, text in takes.items())]
    texts.write_bytes(gzip.compress("\n".join(lines).encode()))
    (sounds / "sub").mkdir(parents=True)
    audio.write(tmp_path / "tone.wav", 0.3 * (torch.arange(8000) * 2 * torch.pi * 500 / 16000).sin()[None], 16000)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "tone.wav"), "-f", "g722", str(tmp_path / "tone.g722")]
    subprocess.run(command, check=True)
    for name in takes:
        if name != "absent":
            shutil.copy(tmp_path / "tone.g722", sounds / f"{name}.g722")
    return sounds, texts


@needs_ffmpeg
def test_every_third_prompt_of_six_to_twenty_words_is_decoded(package, tmp_path):
    found = prompts(tmp_path / "out", *package)
    # Sorted, sub/take is the first of the twelve.
    assert {name: text for name, (_, text) in found.items()} == {
        "sub-take": TWENTY,
        **{f"take-{i:02d}": SIX for i in (2, 5, 8)},
    }
    for path, _ in found.values():
        wav, rate = audio.load(path)
        assert (rate, wav.shape) == (16000, (1, 8000))
        assert wav.std() == pytest.approx(0.3 / 2**0.5, rel=0.05)
    kept = found["take-02"][0]
    kept.write_bytes(b"kept")
    assert prompts(tmp_path / "out", *package) == found
    assert kept.read_bytes() == b"kept"


@needs_ffmpeg
def test_missing_packages_and_programs_are_named(package, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="apt install asterisk-core-sounds-en-g722"):
        prompts(tmp_path / "out", tmp_path, tmp_path / "absent.gz")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt install ffmpeg"):
        prompts(tmp_path / "out", *package)


@pytest.mark.skipif(not TEXTS.exists() or not PROMPTS.exists(), reason="a package of Debian")
@needs_ffmpeg
def test_the_package_has_forty_prompts_of_392_words(tmp_path):
    found = prompts(tmp_path)
    assert len(found) == 40
    assert sum(len(text.split()) for _, text in found.values()) == 392


def test_recordings_have_their_texts_beside_them(tmp_path):
    for name in ("a", "b", "c"):
        audio.write(tmp_path / f"{name}.wav", torch.zeros(1, 100), 16000)
    (tmp_path / "text.tsv").write_text("a\tHello there.\nc\tGood bye!\n")
    assert recordings(tmp_path) == {"a": (tmp_path / "a.wav", "hello there"), "c": (tmp_path / "c.wav", "good bye")}
    (tmp_path / "text.tsv").write_text("a\tHello there.\nd\tNot here.\n")
    with pytest.raises(ValueError, match=r"`text.tsv` must be of recordings in .*, but is 'd'"):
        recordings(tmp_path)
