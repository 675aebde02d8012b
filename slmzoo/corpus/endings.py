"""File kinds by extension: audio, or other files, which are refused or counted."""

from __future__ import annotations

from collections import Counter

from slmcore import audio
from slmcore.files import places
from slmcore.files.places import Place

__all__ = ["LeftOut", "check", "is_audio", "is_other"]

_REMEDIES = {
    (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"): "Decompress it to a .tar, in which audio has a place.",
    (".zip",): "Unpack it and name the folder, or name it as zip://::{}.",
    (".7z", ".rar"): "Unpack it and name the folder.",
    (".gz", ".bz2", ".xz", ".zst"): "Decompress it.",
    (".parquet", ".arrow"): "Name a data set as huggingface:NAME[:CONFIG]:SPLIT, or huggingface:FOLDER.",
    (
        ".json",
        ".txt",
        ".md",
        ".xml",
        ".yaml",
        ".yml",
        ".html",
        ".log",
        ".textgrid",
        ".lab",
        ".trn",
    ): "Lists of audio are .tsv (fairseq), .csv with a column `path`, or .jsonl (Lhotse).",
}
_OTHERS = tuple(ending for endings in _REMEDIES for ending in endings)


def is_audio(name: str) -> bool:
    """Whether a file in a folder or tar counts as audio.

    Formats that only ffmpeg reads count everywhere; without it they fail by name, and can be retried with it.
    """
    return name.lower().endswith((*audio.EXTENSIONS, *audio.FFMPEG_EXTENSIONS))


def is_other(name: str) -> bool:
    """Whether a file is certainly not audio: an archive, a text, a table."""
    return name.lower().endswith(_OTHERS)


def check(place: Place) -> None:
    """Raise a ValueError with a remedy for a file named as audio that certainly is not."""
    name = places.path_in(place).lower()
    for endings, remedy in _REMEDIES.items():
        if name.endswith(endings):
            raise ValueError(f"{place} is not an audio file. {remedy.format(place)}")


class LeftOut:
    """Numbers of input files that are not audio, by extension, with the first of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, place: Place) -> None:
        """Count a file."""
        name = places.path_in(place).rpartition("/")[2]
        _, dot, ending = name.lstrip(".").rpartition(".")
        kind = f".{ending.lower()}" if dot else "without an ending"
        self.counts[kind] += 1
        self.first.setdefault(kind, str(place))

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind} ({self.first[kind]})" for kind, count in self.counts.most_common())
