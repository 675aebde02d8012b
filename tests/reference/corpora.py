"""Small corpora, and their items."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import soundfile
import torch

from slmzoo.corpus import sources
from slmzoo.corpus.items import Item


def named(*corpus) -> list[Item]:
    return list(sources.items([str(source) for source in corpus]))


def wav_bytes(seconds: float = 0.1, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, torch.sin(torch.arange(int(seconds * rate)) / 5).numpy(), rate, format="WAV")
    return file.getvalue()


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
