"""Audio files that paths, folders and patterns name, and the files of folders that are left out."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from slmcore.audio import ffmpeg
from slmcore.files import folders

__all__ = ["EXTENSIONS", "FFMPEG_EXTENSIONS", "Found", "find", "search"]

EXTENSIONS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"),
    *(".au", ".caf", ".mp2", ".snd", ".sph", ".w64"),
)
"""Endings taken for audio in a folder, in lower case: libsndfile reads them."""
FFMPEG_EXTENSIONS = (".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4", ".webm")
FFMPEG_EXTENSIONS += (".wma", ".wv")
"""Endings taken for audio as well where ffmpeg is installed."""

_STANDARD_INPUT = Path("/dev/stdin")

logger = logging.getLogger(__name__)


@dataclass
class Found:
    """The outcome of a search for audio."""

    files: list[Path] = field(default_factory=list)
    """In the order of the sources, sorted within each; each once."""
    empty: list[str] = field(default_factory=list)
    """Folders that hold no audio."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Files of the folders that are not taken for audio, by their ending in lower case ("" without one)."""
    problems: list[OSError] = field(default_factory=list)
    """One for each source that names nothing, folder that cannot be listed, and dead link; each names its path."""

    def told_left_out(self) -> str:
        """Return how many files of each kind were left out, with a remedy for audio; empty if none was."""
        kinds = [f"{count} {ending or 'without an ending'}" for ending, count in sorted(self.left_out.items())]
        if not kinds:
            return ""
        told = f"Left out: {', '.join(kinds)}."
        if not any(ending in FFMPEG_EXTENSIONS for ending in self.left_out):
            return told
        return f"{told} To take the audio among them, {ffmpeg.INSTALL}, or convert it: `ffmpeg -i x.m4a x.wav`."


def find(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """The audio files that paths, folders (searched to the bottom) and glob patterns name, sorted, each once.

    `search` says which files those are. Files left out are logged as a warning. Raises FileNotFoundError for a source
    that names nothing and for a dead link, PermissionError for a folder that cannot be listed.
    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    found = search(sources)
    if found.problems:
        first, more = found.problems[0], len(found.problems) - 1
        raise type(first)(f"{first}{f' {more} more could not be found or listed.' if more else ''}")
    if found.left_out:
        logger.warning("%s: %s", ", ".join(map(str, sources)), found.told_left_out())
    return sorted(found.files)


def search(sources: str | Path | Iterable[str | Path]) -> Found:
    """Search paths, folders (to the bottom, linked ones too) and glob patterns for audio files.

    A file that is named itself is taken whatever its ending; `-` is the standard input. Two links to one file are two
    utterances, while a path that two sources name is one. A folder that contains itself by a link is entered once.
    Nothing is raised: problems are part of the outcome.
    """
    found = Found()
    named: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        try:
            paths = _named(source)
        except OSError as error:
            found.problems.append(error)
            continue
        files = [file for path in paths for file in (_audio_in(path, left_out, found) if path.is_dir() else [path])]
        if not files:
            found.empty.append(str(source))
        for file in sorted(files):
            named.setdefault(_identity(file), file)
    found.files, found.left_out = list(named.values()), Counter(left_out.values())
    found.problems = list({str(problem): problem for problem in found.problems}.values())
    return found


def _named(source: str | Path) -> list[Path]:
    if str(source) == "-":
        return [_STANDARD_INPUT]
    if Path(source).exists():
        return [Path(source)]
    if Path(source).is_symlink():
        raise _dead(Path(source))
    matches = [Path(match) for match in folders.matching(str(source))]
    if not matches:
        raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
    return matches


def _audio_in(folder: Path, left_out: dict[str, str], found: Found) -> Iterator[Path]:
    taken = {*EXTENSIONS, *(FFMPEG_EXTENSIONS if ffmpeg.installed() else ())}
    for file in folders.walk(folder, found.problems.append):
        ending = file.suffix.lower()
        if ending not in taken:
            left_out[_identity(file)] = ending
        elif file.is_file():
            yield file
        elif file.is_symlink() and not file.exists():
            found.problems.append(_dead(file))
        else:
            found.problems.append(FileNotFoundError(f"{file} is a device or a pipe. Name it itself to read it."))


def _identity(file: Path) -> str:
    """One text for all spellings of a path; `..` is undone only where no link gives it another meaning."""
    plain = Path(os.path.abspath(file))  # noqa: PTH100
    return str(plain if ".." not in file.parts or plain.resolve() == file.resolve() else file.absolute())


def _dead(link: Path) -> FileNotFoundError:
    return FileNotFoundError(f"{link} is a dead link: {os.readlink(link)} is not there.")  # noqa: PTH115
