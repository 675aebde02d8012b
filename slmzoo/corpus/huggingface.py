"""Datasets of the Hugging Face hub, or saved by that library in a folder: `NAME[:CONFIG]:SPLIT`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from slmcore.errors import must
from slmcore.files import places
from slmzoo.corpus.items import Item, probable_length, probable_seconds

__all__ = ["PREFIX", "absolute", "audio_bytes", "items"]

PREFIX = "huggingface:"
_ROWS_AT_ONCE = 1024


def items(name: str) -> Iterator[Item]:
    """The rows of a dataset, `owner/name[:config]:split`, or of a folder by `save_to_disk`, `folder[:split]`.

    Names from a column `id`, else the number of the row; speakers and chapters from `speaker_id` and `chapter_id`.
    Raises ImportError without the library, ValueError for a dataset without an audio column.
    """
    dataset, column = _loaded(name)
    told = {"id": "id", "speaker": "speaker_id", "chapter": "chapter_id"}
    told = {ours: theirs for ours, theirs in told.items() if theirs in dataset.column_names}
    rows = dataset.select_columns(list(told.values())) if told else None
    for row, probable in enumerate(_lengths(dataset, column)):
        values = rows[row] if rows is not None else {}
        said = {ours: str(values[theirs]) for ours, theirs in told.items() if values[theirs] is not None}
        called = said.get("id", f"{row:09d}")
        speaker, chapter = said.get("speaker"), said.get("chapter")
        yield Item(id=called, audio=name, row=row, probable=probable, speaker=speaker, chapter=chapter)


def absolute(name: str) -> str:
    """The name of a dataset as it is called from any folder: that of a folder of this machine becomes absolute."""
    place, *parts = _parts(name)
    return ":".join([str(Path(place).absolute()) if Path(place).is_dir() else place, *parts])


def audio_bytes(name: str, row: int) -> bytes:
    """The audio file of a row. Raises ValueError for a row without audio, OSError for a file that is not there."""
    dataset, column = _loaded(name)
    found = dataset[row][column] or {}
    if found.get("bytes") is not None:
        return found["bytes"]
    if not found.get("path"):
        raise ValueError(f"{PREFIX}{name}, row {row}, holds no audio: `{column}` is null.")
    return places.read_bytes(found["path"])


def _lengths(dataset: Any, column: str) -> Iterator[float]:
    """Seconds that each row probably lasts, by the size of its file; Arrow knows it without reading the audio.

    0 for a row without audio.
    """
    import pyarrow.compute

    pc: Any = pyarrow.compute  # whose functions are made when it is imported
    table = dataset.with_format("arrow")
    for first in range(0, len(dataset), _ROWS_AT_ONCE):
        files = table[first : first + _ROWS_AT_ONCE][column]
        sizes, paths = (pc.struct_field(files, name) for name in ("bytes", "path"))
        for size, path in zip(pc.binary_length(sizes).to_pylist(), paths.to_pylist(), strict=True):
            known = size is not None or not path
            yield probable_seconds(path or "", size or 0) if known else probable_length(path)


@lru_cache(maxsize=2)
def _loaded(name: str) -> tuple[Any, str]:
    """A dataset whose audio is not decoded, and the name of its audio column."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"{PREFIX}{name} needs the library datasets: pip install datasets.") from error
    place, *parts = _parts(name)
    if Path(place).is_dir():
        dataset = datasets.load_from_disk(place)
        dataset = dataset[parts[0]] if parts else dataset
    elif parts:
        dataset = datasets.load_dataset(place, *parts[:-1], split=parts[-1])
    else:
        raise ValueError(must("dataset", "NAME[:CONFIG]:SPLIT, or a folder", name))
    if not isinstance(dataset, datasets.Dataset):
        raise ValueError(must("dataset", "named with its split, as in owner/name:train", name))
    columns = [column for column, feature in dataset.features.items() if isinstance(feature, datasets.Audio)]
    if len(columns) != 1:
        raise ValueError(f"The dataset {name} must have one column of audio, but has {len(columns)}.")
    return dataset.cast_column(columns[0], datasets.Audio(decode=False)), columns[0]


def _parts(name: str) -> list[str]:
    return re.split(r":(?![^\[]*\])", name)  # not at that of train[:10]
