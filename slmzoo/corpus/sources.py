"""What may be named as a corpus, made one stream of items in an order that is always the same.

A folder, audio file or glob pattern (of files of any kind below); `.tar` (WebDataset); `.tsv` (fairseq manifest);
`.csv`; `.jsonl` and `.jsonl.gz` (Lhotse recordings or cuts); `huggingface:NAME[:CONFIG]:SPLIT`; and URLs of files and
folders that fsspec knows, such as `s3://bucket/folder`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from glob import glob
from pathlib import Path, PurePosixPath

from slmcore import audio
from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus import huggingface, manifests, tars
from slmzoo.corpus.items import Item, folder_of, named_apart, probable_seconds

__all__ = ["items", "roots"]

_READERS: dict[str, Callable[[Place], Iterator[Item]]] = {
    ".tar": tars.items,
    ".tsv": manifests.fairseq,
    ".csv": manifests.csv_rows,
    ".jsonl": manifests.lhotse,
    ".jsonl.gz": manifests.lhotse,
}
_MANIFESTS = (manifests.fairseq, manifests.csv_rows, manifests.lhotse)


def items(corpus: Iterable[str]) -> Iterator[Item]:
    """The utterances that `corpus` names, each with a unique name.

    A file of a folder is named after its path inside that folder, without the extension. Its chapter is the path of the
    folder it lies in, from the one that all folders, patterns and files of the corpus share; its speaker the folder
    above where the file's name begins with both, as in LibriSpeech.
    Raises FileNotFoundError for what names nothing or holds no audio, ValueError for a manifest that is not right.
    """
    corpus = [places.plain(source) for source in corpus]
    shared = os.path.commonpath([_absolute(_top(source)) for source in corpus if not _is_list(source)] or ["/"])
    return named_apart(item for source in corpus for item in _items(source, shared))


def roots(corpus: Iterable[str], items: Iterable[Item]) -> list[str]:
    """Folders that must be there while the corpus, with these `items`, is read.

    Of a folder or pattern it is that folder or what all matches lie in; of a manifest's files that which they have in
    common, on each disk. Raises FileNotFoundError where none of these is there.
    """
    named = map(places.plain, corpus)
    here = [source for source in named if _is_local(source) and _reader(source) not in _MANIFESTS]
    found = {_top(source) for source in here}
    folders = {Path(item.audio).parent for item in items if item.row is None and _is_local(item.audio)}
    there = [folder for folder in folders if folder.is_dir()]
    if folders and not there:
        raise FileNotFoundError(f"The inputs are gone: {min(folders)} is missing, as are all folders of the files.")
    disks: dict[tuple[int, bool], list[Path]] = {}
    for folder in there:
        if not any(folder.is_relative_to(root) for root in found):
            disks.setdefault((folder.stat().st_dev, folder.is_absolute()), []).append(folder)
    return sorted(found | {os.path.commonpath(on_disk) for on_disk in disks.values()})


def _items(source: str, shared: str) -> Iterator[Item]:
    dataset = source.removeprefix(huggingface.PREFIX)
    found = huggingface.items(dataset) if dataset != source else _of_place(source, shared)
    empty = True
    for item in found:
        empty = False
        yield item
    if empty:
        raise FileNotFoundError(f"{source} holds no audio.{_hint(source)}")


def _of_place(source: str, shared: str) -> Iterator[Item]:
    reader = _reader(source)
    if places.is_remote(source) and "*" not in source:
        yield from reader(source) if reader else _remote(source, shared)
    elif Path(source).is_dir():
        for file in audio.find(source):
            yield _item(str(file), file.relative_to(source).as_posix(), file.stat().st_size, shared)
    elif Path(source).exists():
        size = Path(source).stat().st_size
        yield from reader(source) if reader else [_item(source, Path(source).name, size, shared)]
    else:
        # `Path.glob` takes no absolute pattern
        local = not places.is_remote(source)
        matches = sorted(glob(source, recursive=True)) if local else places.matching(source)  # noqa: PTH207
        if not matches:
            raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
        for match in matches:
            yield from _of_place(match, shared)


def _remote(url: str, shared: str) -> Iterator[Item]:
    for name, size in places.walk(url):
        place = str(places.join(url, name)) if name else url
        if PurePosixPath(place).suffix.lower() in audio.EXTENSIONS:
            yield _item(place, name or place.rpartition("/")[2], size, shared)


def _item(place: str, name: str, size: int, shared: str) -> Item:
    file = PurePosixPath(_absolute(place)).relative_to(shared)
    *_, speaker, folder = ("", "", *file.parent.parts)
    return Item(
        id=str(PurePosixPath(name).with_suffix("")),
        audio=place,
        probable=probable_seconds(place, size),
        speaker=speaker if speaker and file.name.startswith(f"{speaker}-{folder}-") else None,
        chapter=folder_of(str(file)),
    )


def _hint(source: str) -> str:
    """What to name instead of a folder without audio: lists and tars in it are taken only where they are meant."""
    held = [suffix for suffix in _READERS if any(name.lower().endswith(suffix) for name in places.names(source))]
    return f" It holds {held[0]} files: name them, as in '{source.rstrip('/')}/*{held[0]}'." if held else ""


def _reader(source: str) -> Callable[[Place], Iterator[Item]] | None:
    return next((reader for suffix, reader in _READERS.items() if source.lower().endswith(suffix)), None)


def _is_local(source: str) -> bool:
    return not source.startswith(huggingface.PREFIX) and not places.is_remote(source)


def _is_list(source: str) -> bool:
    """Whether it names its utterances itself."""
    return source.startswith(huggingface.PREFIX) or _reader(source) is not None


def _top(source: str) -> str:
    """The folder that is a source, or holds it; of a pattern the deepest that all matches lie in."""
    if places.is_remote(source):
        while "*" in source or source.lower().endswith(audio.EXTENSIONS):
            source = source.rpartition("/")[0]
        return source
    folder = Path(source) if Path(source).is_dir() else Path(source).parent
    while not folder.is_dir() and any(sign in str(folder) for sign in "*?["):
        folder = folder.parent
    return str(folder)


def _absolute(place: str) -> str:
    """A path from the root, for URLs too, so that all can be compared."""
    return os.path.normpath(f"/{place}") if places.is_remote(place) else os.path.abspath(place)  # noqa: PTH100
