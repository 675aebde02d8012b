"""Recordings of people with their texts: Asterisk's English prompts, and folders of one's own.

The prompts (CC BY-SA 3.0, one professional speaker) are Debian's package asterisk-core-sounds-en-g722.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from slmcore import audio
from slmcore.errors import must
from slmcore.files import atomic
from slmzoo.evaluation.speech.speech_scores import transcripts

__all__ = ["PACKAGE", "PROMPTS", "TEXTS", "Recordings", "decode_g722", "prompts", "recordings"]

PACKAGE = "asterisk-core-sounds-en-g722"
PROMPTS = Path("/usr/share/asterisk/sounds/en")
TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")

Recordings = dict[str, tuple[Path, str]]
"""File and text of each recording, by its name."""

_FEWEST, _MOST = 6, 20
"""Words of a prompt."""
_COUNT, _EVERY = 40, 3
_UNSPOKEN = re.compile(r"[\d\[\]]")
"""Digits, whose reading is not written, and descriptions of sounds."""


def prompts(out: Path, sounds: Path = PROMPTS, texts: Path = TEXTS) -> Recordings:
    """Return 40 prompts of 6 to 20 words, every third by name, decoded to 16 kHz wavs in `out`; existing ones are kept.

    Raises FileNotFoundError without the package, RuntimeError without ffmpeg.
    """
    if not texts.exists():
        raise FileNotFoundError(f"{texts} does not exist. Install the prompts: `apt install {PACKAGE}`.")
    out.mkdir(parents=True, exist_ok=True)
    decoded: Recordings = {}
    for name, text in _chosen(sounds, texts):
        path = out / f"{name.replace('/', '-')}.wav"
        if not path.exists():
            decode_g722(sounds / f"{name}.g722", path)
        decoded[path.stem] = (path, text)
    return decoded


def recordings(folder: Path) -> Recordings:
    """Return the recordings of a folder by their stems; `text.tsv` in it has a line of name and text for each.

    Raises ValueError for a text without a recording.
    """
    files = {file.stem: file for file in audio.find([folder])}
    texts, _ = transcripts(folder / "text.tsv")
    missing = sorted(texts.keys() - files.keys())
    if missing:
        raise ValueError(must("text.tsv", f"of recordings in {folder}", ", ".join(missing)))
    return {name: (files[name], text) for name, text in texts.items()}


def _chosen(sounds: Path, texts: Path) -> list[tuple[str, str]]:
    with gzip.open(texts, "rt", encoding="utf-8") as lines:
        pairs = sorted(_spoken(lines))
    recorded = [(name, text) for name, text in pairs if (sounds / f"{name}.g722").is_file()]
    return recorded[::_EVERY][:_COUNT]


def _spoken(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, text = line.partition(":")
        wanted = _FEWEST <= len(text.split()) <= _MOST and not _UNSPOKEN.search(text)
        if colon and wanted and not line.startswith(";"):
            yield name.strip(), text.strip()


def decode_g722(source: Path, path: Path) -> None:
    """Write a G.722 file as a 16 kHz wav, atomically. Raises RuntimeError without ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise RuntimeError(
            "The program `ffmpeg` was not found. Install it to decode G.722 (Debian: `apt install ffmpeg`)."
        )
    with atomic.replacing(path) as part:
        command = [program, "-v", "error", "-y", "-f", "g722", "-i", str(source), "-ac", "1", "-f", "wav", str(part)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
