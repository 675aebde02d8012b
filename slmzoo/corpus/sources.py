"""Inputs of a corpus as a stream of items in deterministic order.

A folder, audio file or glob pattern (of files of any kind below); `.tar` (WebDataset); `.tsv` (fairseq manifest);
`.csv`; `.jsonl` (Lhotse recordings or cuts); these lists also gzipped, as `.jsonl.gz`;
`huggingface:NAME[:CONFIG]:SPLIT`; and URLs of files and folders that fsspec knows, such as `s3://bucket/folder` or
`zip://folder::archive.zip`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from slmcore.files import folders, places
from slmcore.files.places import Place
from slmzoo.corpus import endings, huggingface, manifests, tars
from slmzoo.corpus.endings import LeftOut
from slmzoo.corpus.items import Item, folder_of, named_apart, probable_seconds

__all__ = ["Corpus", "File", "absolute", "is_list", "items", "look", "roots"]

_TAR = ".tar"
_LISTS: dict[str, Callable[[Place], Iterator[Item]]] = {
    ".tsv": manifests.fairseq,
    ".csv": manifests.csv_rows,
    ".jsonl": manifests.lhotse,
}


def items(corpus: Iterable[str]) -> Iterator[Item]:
    """Return the utterances of `corpus` with unique names. Raises as `Corpus.items`."""
    return named_apart(Corpus(corpus).items())


@dataclass(frozen=True)
class File:
    """File of a corpus: audio, a list or a tar."""

    place: str
    name: str
    """Path relative to the named folder, or its own name."""
    size: int = 0
    """Bytes, or 0 if unknown."""
    stamp: str | None = None
    """Size and time (`places.stamp`); None for a dead link."""


class Corpus:
    """Sources of utterances, and the findings of listing them.

    Its paths are absolute, independent of the working folder.
    """

    def __init__(self, named: Iterable[str]) -> None:
        self.named = list(dict.fromkeys(map(absolute, named)))
        tops = [_comparable(_top(source)) for source in self.named if not is_list(source)]
        self._shared = os.path.commonpath(tops or ["/"])
        self._met: set[str] = set()
        self._repeated = 0
        self.left_out = LeftOut()
        """Files in folders, patterns and tars that are not audio."""
        self.lists: dict[str, str | None] = {}
        """Local lists and tars that were read, with their stamps."""

    def items(self) -> Iterator[Item]:
        """Yield the utterances; names may repeat.

        A file of a folder is named by its path inside that folder, without the extension. Its chapter is the path of
        its folder, relative to the common parent of all folders, patterns and files of the corpus; its speaker is the
        folder above if the file's name begins with both, as in LibriSpeech. A path counts once, however often it is
        named; several paths are several utterances, even if they are links to one file. Raises FileNotFoundError for
        sources without audio, another OSError for unreadable ones, ValueError for an invalid list and for a named file
        that certainly is not audio.
        """
        for source in self.named:
            repeated, empty = self._repeated, True
            for item in self._of_source(source):
                empty = False
                yield item
            if empty and repeated == self._repeated:
                raise FileNotFoundError(f"{source} holds no audio.{self._hint(source)}")

    def files(self) -> Iterator[File]:
        """List the local files: audio, and lists and tars, which are not opened.

        Missing and unreadable sources are skipped.
        """
        for source in filter(_is_local, self.named):
            with suppress(OSError, ValueError):
                yield from self._paths(source)

    def _of_source(self, source: str) -> Iterator[Item]:
        if source.startswith(huggingface.PREFIX):
            yield from huggingface.items(source.removeprefix(huggingface.PREFIX))
            return
        stamps: dict[str, str | None] = {}
        for file in self._paths(source) if _is_local(source) else self._urls(source):
            if not is_list(file.place):
                yield _item(file, self._shared)
                continue
            if _is_local(file.place):
                self.lists[file.place] = file.stamp
            for item in self._of_list(file.place):
                place = absolute(item.audio)
                if place not in stamps:
                    stamps[place] = _stamp(place)
                yield replace(item, audio=place, stamp=stamps[place])

    def _of_list(self, place: str) -> Iterator[Item]:
        reader = _reader(place)
        return tars.items(place, self.left_out) if reader is None else reader(place)

    def _paths(self, source: str) -> Iterator[File]:
        """Yield the files of a local path or pattern."""
        if Path(source).exists():
            if not Path(source).is_dir() and not is_list(source):
                endings.check(source)
            yield from self._below(source)
            return
        matches = folders.matching(source)
        if not matches:
            raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
        for match in matches:
            yield from self._below(match)

    def _below(self, path: str) -> Iterator[File]:
        """Yield a file, or the audio files of a folder."""
        if not Path(path).is_dir():
            if self._is_new(path, _is_readable(Path(path)) and (is_list(path) or not endings.is_other(path))):
                yield look(path, Path(path).name)
            return
        for file in folders.walk(path):
            if self._is_new(str(file), endings.is_audio(file.name) and _is_readable(file)):
                yield look(str(file), file.relative_to(path).as_posix())

    def _urls(self, source: str) -> Iterator[File]:
        """Yield the files of a URL or pattern of URLs."""
        if not places.is_pattern(source):
            if not is_list(source):
                endings.check(source)
            yield from self._below_url(source, named=True)
            return
        matches = places.matching(source)
        if not matches:
            raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
        for match in matches:
            yield from self._below_url(match, named=False)

    def _below_url(self, url: str, *, named: bool) -> Iterator[File]:
        """Yield a file, or the audio files below a URL; a `named` one may have any extension."""
        top = places.path_in(url)
        if is_list(url):
            if self._is_new(url, True):
                yield File(url, top)
            return
        entries = list(places.walk(url))
        if not entries and not places.exists(url):
            raise FileNotFoundError(f"{url} was not found.")
        for name, size, stamp in entries:
            place = str(places.join(url, name)) if name else url
            path = places.path_in(place)
            if self._is_new(place, endings.is_audio(path) or (named and not name)):
                yield File(place, path.removeprefix(top).lstrip("/") or PurePosixPath(top).name, size, stamp)

    def _is_new(self, place: str, wanted: bool) -> bool:
        """Whether to take a file; others are counted."""
        if place in self._met:
            self._repeated += 1
            return False
        self._met.add(place)
        if not wanted:
            self.left_out.add(place)
        return wanted

    def _hint(self, source: str) -> str:
        """Describe what to name instead of a folder without audio: lists and tars must be named explicitly."""
        hints = []
        if not is_list(source) and (held := [name for name in places.names(source) if is_list(name)]):
            ending = next(ending for ending in (_TAR, *_LISTS) if ending in held[0].lower())
            hints.append(f" It holds {ending} files: name them, as in '{places.join(source, f'*{ending}')}'.")
        if self.left_out.counts:
            hints.append(f" These are not audio: {self.left_out}.")
        return "".join(hints)


def absolute(source: str) -> str:
    """Return a source or place as an absolute path; URLs and names of data sets stay unchanged."""
    if source.startswith(huggingface.PREFIX):
        return huggingface.PREFIX + huggingface.absolute(source.removeprefix(huggingface.PREFIX))
    source = places.plain(source)
    if not places.is_remote(source):
        return str(Path(source).absolute())
    *chain, last = source.split("::")
    return source if "://" in last or not chain else "::".join([*chain, str(Path(last).absolute())])


def roots(corpus: Iterable[str], items: Iterable[Item]) -> list[str]:
    """Return the folders that must exist while the corpus, with these `items`, is read.

    For a folder or pattern it is that folder or the common parent of all matches; for a manifest's files their common
    parent on each disk. Raises FileNotFoundError if none of these exists.
    """
    named = map(places.plain, corpus)
    named_folders = {_top(source) for source in named if _is_local(source) and _reader(source) is None}
    folders = {Path(item.audio).parent for item in items if item.row is None and _is_local(item.audio)}
    there = [folder for folder in folders if folder.is_dir()]
    if folders and not there:
        raise FileNotFoundError(f"The inputs are gone: {min(folders)} is missing, as are all folders of the files.")
    disks: dict[tuple[int, bool], list[Path]] = {}
    for folder in there:
        if not any(folder.is_relative_to(root) for root in named_folders):
            disks.setdefault((folder.stat().st_dev, folder.is_absolute()), []).append(folder)
    return sorted(named_folders | {os.path.commonpath(on_disk) for on_disk in disks.values()})


def _is_readable(path: Path) -> bool:
    """Whether it is a file, or a dead link, which must fail by name; reading a pipe would block."""
    return path.is_file() or not path.exists()


def look(path: str, name: str = "") -> File:
    """Return a local file with its size and stamp, or without them if it cannot be reached."""
    try:
        return File(path, name, Path(path).stat().st_size, places.stamp(path))
    except OSError:  # why it cannot be read is reported in its turn
        return File(path, name)


def _item(file: File, shared: str) -> Item:
    path = PurePosixPath(_comparable(file.place)).relative_to(shared)
    *_, speaker, folder = ("", "", *path.parent.parts)
    return Item(
        id=str(PurePosixPath(file.name).with_suffix("")),
        audio=file.place,
        probable=probable_seconds(file.name, file.size),
        stamp=file.stamp,
        speaker=speaker if speaker and path.name.startswith(f"{speaker}-{folder}-") else None,
        chapter=folder_of(str(path)),
    )


def _stamp(place: str) -> str | None:
    """Return the stamp of a local file named by a list; for object stores that would take a request per file."""
    return look(place).stamp if _is_local(place) else None


def _reader(source: str) -> Callable[[Place], Iterator[Item]] | None:
    """Return the reader of a list; None for other files."""
    path = places.path_in(source).lower().removesuffix(".gz")
    return next((reader for ending, reader in _LISTS.items() if path.endswith(ending)), None)


def _is_local(source: str) -> bool:
    return not source.startswith(huggingface.PREFIX) and not places.is_remote(source)


def is_list(source: str) -> bool:
    """Whether it names its utterances."""
    named = source.startswith(huggingface.PREFIX) or _reader(source) is not None
    return named or places.path_in(source).lower().endswith(_TAR)


def _top(source: str) -> str:
    """Return the folder of a source; for a pattern the deepest folder of all matches."""
    if places.is_remote(source):
        while places.is_pattern(source) or endings.is_audio(places.path_in(source)):
            source = str(places.parent(source))
        return source
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    while not folder.is_dir() and any(sign in str(folder) for sign in "*?["):
        folder = folder.parent
    return str(folder)


def _comparable(place: str) -> str:
    """Return a path from the root, for URLs too, so that all can be compared."""
    if not places.is_remote(place):
        return os.path.abspath(place)  # noqa: PTH100
    *_, archive = ("", *place.split("::")[1:])
    parts = (archive.lstrip("/"), f"{place.partition('://')[0]}:", places.path_in(place))
    return os.path.normpath("/" + "/".join(filter(None, parts)))
