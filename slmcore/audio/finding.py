"""Which audio files paths, folders and patterns name, and what of a folder is left out."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from slmcore.audio import ffmpeg

__all__ = ["EXTENSIONS", "FFMPEG_EXTENSIONS", "Found", "find", "search"]

EXTENSIONS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"),
    *(".au", ".caf", ".mp2", ".snd", ".sph", ".w64"),
)
"""What libsndfile reads and `find` therefore takes for audio in a folder, in lower case."""
FFMPEG_EXTENSIONS = (".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4", ".webm")
FFMPEG_EXTENSIONS += (".wma", ".wv")
"""What is taken for audio in a folder too where ffmpeg is installed."""

_STANDARD_INPUT = Path("/dev/stdin")

logger = logging.getLogger(__name__)


@dataclass
class Found:
    """The outcome of a search for audio."""

    files: list[Path] = field(default_factory=list)
    """In the order of the sources, sorted in each, and each once."""
    empty: list[str] = field(default_factory=list)
    """Folders that hold no audio."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Files of the folders that are not taken for audio, by their ending in lower case ("" without one)."""
    problems: list[OSError] = field(default_factory=list)
    """What names nothing, could not be looked into, or is a dead link, each with its name."""

    def told_left_out(self) -> str:
        """Number and kind of the files that were left out as a sentence, with a remedy for audio; empty if none was."""
        kinds = [f"{count} {ending or 'without an ending'}" for ending, count in sorted(self.left_out.items())]
        if not kinds:
            return ""
        needs = any(ending in FFMPEG_EXTENSIONS for ending in self.left_out)
        remedy = (
            f" To take the audio among them {ffmpeg.INSTALL}, or convert it, as by `ffmpeg -i x.m4a x.wav`."
            if needs
            else ""
        )
        return f"Left out: {', '.join(kinds)}.{remedy}"


def find(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """The audio files that paths, folders (searched to the bottom) and glob patterns name, sorted, each once.

    As `search`, but sorted; what was left out is logged as a warning. Raises FileNotFoundError for what names nothing
    and for a dead link, PermissionError for a folder that cannot be looked into.
    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    found = search(sources)
    if found.problems:
        first, more = found.problems[0], len(found.problems) - 1
        raise type(first)(f"{first}{f' {more} more could not be looked into.' if more else ''}")
    if found.left_out:
        logger.warning("%s: %s", ", ".join(map(str, sources)), found.told_left_out())
    return sorted(found.files)


def search(sources: str | Path | Iterable[str | Path]) -> Found:
    """Look for audio files in paths, folders (to the bottom, linked ones too) and glob patterns.

    A file that is named itself is taken whatever its ending; `-` is the standard input. Names are what is told apart:
    two links to one file are two utterances, while a file that two arguments name is one. A folder that contains itself
    by a link is entered once. Nothing is raised: problems are part of what is returned.
    """
    found = Found()
    named: dict[str, Path] = {}
    for source in [sources] if isinstance(sources, str | Path) else sources:
        try:
            paths = _named(source)
        except OSError as error:
            found.problems.append(error)
            continue
        files = [file for path in paths for file in (_audio_in(path, found) if path.is_dir() else [path])]
        if not files:
            found.empty.append(str(source))
        for file in sorted(files):
            named.setdefault(_identity(file), file)
    found.files = list(named.values())
    return found


def _named(source: str | Path) -> list[Path]:
    if str(source) == "-":
        return [_STANDARD_INPUT]
    if Path(source).exists():
        return [Path(source)]
    if Path(source).is_symlink():
        raise _dead(Path(source))
    # `Path.glob` takes no absolute pattern
    matches = [Path(match) for match in glob(str(source), recursive=True)]  # noqa: PTH207
    matches = [match for match in matches if not ("**" in str(source) and _goes_round(match))]
    if not matches:
        raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
    return matches


def _audio_in(folder: Path, found: Found) -> Iterator[Path]:
    taken = {*EXTENSIONS, *(FFMPEG_EXTENSIONS if ffmpeg.installed() else ())}
    for file in _files_in(folder, found, ()):
        ending = file.suffix.lower()
        if ending not in taken:
            found.left_out[ending] += 1
        elif file.is_file():
            yield file
        elif file.is_symlink() and not file.exists():
            found.problems.append(_dead(file))
        else:
            found.problems.append(FileNotFoundError(f"{file} is no regular file, but a device or a pipe. Name it."))


def _files_in(folder: Path, found: Found, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """What lies in a folder and those below that is no folder; `above` are the inodes of the folders it lies in."""
    try:
        inode = _inode(folder)
        if inode in above:
            return
        with os.scandir(folder) as inside:
            entries = [(entry.name, entry.is_dir()) for entry in inside]
    except OSError as error:
        found.problems.append(type(error)(f"{folder} cannot be looked into: {error.strerror or error}."))
        return
    for name, is_folder in sorted(entries):
        if is_folder:
            yield from _files_in(folder / name, found, (*above, inode))
        else:
            yield folder / name


def _goes_round(match: Path) -> bool:
    """Whether a path passes one folder twice, as patterns with `**` find without end where a link leads upwards."""
    try:
        inodes = [_inode(folder) for folder in match.absolute().parents]
    except OSError:
        return False
    return len(set(inodes)) < len(inodes)


def _identity(file: Path) -> str:
    """One text for all ways to write the path of a file; `..` is undone only where no link makes it mean another."""
    plain = Path(os.path.abspath(file))  # noqa: PTH100
    return str(plain if ".." not in file.parts or plain.resolve() == file.resolve() else file.absolute())


def _inode(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _dead(link: Path) -> FileNotFoundError:
    return FileNotFoundError(f"{link} is a dead link: {os.readlink(link)} is not there.")  # noqa: PTH115
