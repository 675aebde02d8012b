"""Search for audio files by paths, folders and patterns, with an account of the files left out."""

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
"""Extensions of audio files in a folder, in lower case, that libsndfile reads."""
FFMPEG_EXTENSIONS = (".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4", ".webm")
FFMPEG_EXTENSIONS += (".wma", ".wv")
"""Further extensions, read where ffmpeg is installed."""

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
    """Numbers of files in the folders that are not audio, by extension in lower case ("" without one)."""
    problems: list[OSError] = field(default_factory=list)
    """Errors that name their paths: sources that match nothing, folders that cannot be listed, dead links."""

    def describe_left_out(self) -> str:
        """Describe how many files of each kind were left out, with a remedy for audio; empty if none was."""
        kinds = [f"{count} {ending or 'without an ending'}" for ending, count in sorted(self.left_out.items())]
        if not kinds:
            return ""
        summary = f"Left out: {', '.join(kinds)}."
        if not any(ending in FFMPEG_EXTENSIONS for ending in self.left_out):
            return summary
        return f"{summary} To take the audio among them, {ffmpeg.INSTALL}, or convert it: `ffmpeg -i x.m4a x.wav`."


def find(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return the audio files that paths, folders (searched recursively) and glob patterns name, sorted, each once.

    See `search` for the rules. Files left out are logged as a warning. Raises FileNotFoundError for a source that names
    nothing and for a dead link, PermissionError for a folder that cannot be listed.
    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    matches = search(sources)
    if matches.problems:
        first, more = matches.problems[0], len(matches.problems) - 1
        raise type(first)(f"{first}{f' {more} more could not be found or listed.' if more else ''}")
    if matches.left_out:
        logger.warning("%s: %s", ", ".join(map(str, sources)), matches.describe_left_out())
    return sorted(matches.files)


def search(sources: str | Path | Iterable[str | Path]) -> Found:
    """Search paths, folders (recursively, linked ones too) and glob patterns for audio files.

    A file named explicitly may have any extension; `-` is standard input. Two links to one file are two
    utterances; one path named by two sources is one. A folder that contains itself through a link is entered once.
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
    """Normalise the spelling of a path; `..` is resolved only where no link gives it another meaning."""
    plain = Path(os.path.abspath(file))  # noqa: PTH100
    return str(plain if ".." not in file.parts or plain.resolve() == file.resolve() else file.absolute())


def _dead(link: Path) -> FileNotFoundError:
    return FileNotFoundError(f"{link} is a dead link: {os.readlink(link)} is not there.")  # noqa: PTH115
