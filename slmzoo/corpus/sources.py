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

from slmcore import audio, places
from slmcore.places import Place
from slmzoo.corpus import huggingface, manifests, tars
from slmzoo.corpus.items import Item, named_apart, probable_seconds

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

    A file of a folder is named after its path inside that folder, without the extension; its chapter is the folder it
    lies in, and its speaker the one above where the file's name begins with both, as in LibriSpeech.
    Raises FileNotFoundError for what names nothing or holds no audio, ValueError for a manifest that is not right.
    """
    return named_apart(item for source in corpus for item in _items(source))


def roots(corpus: Iterable[str], items: Iterable[Item]) -> list[str]:
    """Folders that must be there while the corpus, with these `items`, is read.

    Of a folder or pattern it is that folder or what all matches lie in; of a manifest's files that which they have in
    common, on each disk.
    """
    here = [source for source in corpus if _is_local(source) and _reader(source) not in _MANIFESTS]
    found = {str(source if Path(source).is_dir() else _fixed_part(source)) for source in here}
    folders = {os.path.dirname(item.audio) for item in items if item.row is None and _is_local(item.audio)}  # noqa: PTH120
    disks: dict[tuple[int, bool], list[str]] = {}
    for folder in folders:
        if not any(Path(folder).is_relative_to(root) for root in found) and Path(folder).is_dir():
            disks.setdefault((Path(folder).stat().st_dev, Path(folder).is_absolute()), []).append(folder)
    return sorted(found | {os.path.commonpath(on_disk) or "." for on_disk in disks.values()})


def _items(source: str) -> Iterator[Item]:
    dataset = source.removeprefix(huggingface.PREFIX)
    found = huggingface.items(dataset) if dataset != source else _of_place(source)
    empty = True
    for item in found:
        empty = False
        yield item
    if empty:
        raise FileNotFoundError(f"{source} holds no audio.")


def _of_place(source: str) -> Iterator[Item]:
    reader = _reader(source)
    if places.is_remote(source):
        yield from reader(source) if reader else _remote(source)
    elif Path(source).is_dir():
        yield from _in_folder(Path(source), audio.find(source))
    elif Path(source).exists():
        yield from reader(source) if reader else [_item(source, Path(source).stem, Path(source).stat().st_size)]
    else:
        # `Path.glob` takes no absolute pattern
        matches = sorted(glob(source, recursive=True))  # noqa: PTH207
        if not matches:
            raise FileNotFoundError(f"{source} is no file, folder or pattern that matches a file.")
        for match in matches:
            yield from _of_place(match)


def _in_folder(folder: Path, files: list[Path]) -> Iterator[Item]:
    for file in files:
        inside = PurePosixPath(file.relative_to(folder).as_posix())
        yield _item(str(file), str(inside.with_suffix("")), file.stat().st_size)


def _remote(url: str) -> Iterator[Item]:
    for name, size in places.walk(url):
        place = str(places.join(url, name)) if name else url
        if PurePosixPath(place).suffix.lower() in audio.EXTENSIONS:
            yield _item(place, str(PurePosixPath(name or place.rpartition("/")[2]).with_suffix("")), size)


def _item(place: str, name: str, size: int) -> Item:
    folders = name.split("/")[:-1]
    chapter = folders[-1] if folders else None
    speaker = folders[-2] if len(folders) > 1 else None
    if not name.rpartition("/")[2].startswith(f"{speaker}-{chapter}-"):
        speaker = None
    return Item(id=name, audio=place, probable=probable_seconds(place, size), speaker=speaker, chapter=chapter)


def _reader(source: str) -> Callable[[Place], Iterator[Item]] | None:
    return next((reader for suffix, reader in _READERS.items() if source.lower().endswith(suffix)), None)


def _is_local(source: str) -> bool:
    return not source.startswith(huggingface.PREFIX) and not places.is_remote(source)


def _fixed_part(source: str) -> Path:
    """The folder of a file, or the deepest that all matches of a pattern lie in."""
    folder = Path(source).parent
    while any(sign in str(folder) for sign in "*?["):
        folder = folder.parent
    return folder
