"""Datasets of the Hugging Face hub, or saved by that library in a folder: `NAME[:CONFIG]:SPLIT`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slmzoo.corpus.hf_datasets import PREFIX, loaded, parts_of
from slmzoo.corpus.items import Item, probable_length, probable_seconds

__all__ = ["PREFIX", "absolute", "items"]

_ROWS_AT_ONCE = 1024


def items(name: str) -> Iterator[Item]:
    """List the rows of a dataset, `owner/name[:config]:split`, or of a folder by `save_to_disk`, `folder[:split]`.

    Names are those of a column `id`, else row numbers; speakers and chapters come from `speaker_id` and `chapter_id`.
    Raises ImportError without the library, ValueError for a dataset without an audio column.
    """
    dataset, column = loaded(name)
    columns = {"id": "id", "speaker": "speaker_id", "chapter": "chapter_id"}
    columns = {ours: theirs for ours, theirs in columns.items() if theirs in dataset.column_names}
    rows = dataset.select_columns(list(columns.values())) if columns else None
    for row, probable in enumerate(_lengths(dataset, column)):
        values = rows[row] if rows is not None else {}
        fields = {ours: str(values[theirs]) for ours, theirs in columns.items() if values[theirs] is not None}
        row_id = fields.get("id", f"{row:09d}")
        speaker, chapter = fields.get("speaker"), fields.get("chapter")
        yield Item(id=row_id, audio=name, row=row, probable=probable, speaker=speaker, chapter=chapter)


def absolute(name: str) -> str:
    """Return the name of a dataset, made absolute if it is a local folder."""
    place, *parts = parts_of(name)
    return ":".join([str(Path(place).absolute()) if Path(place).is_dir() else place, *parts])


def _lengths(dataset: Any, column: str) -> Iterator[float]:
    """Estimate the duration of each row from its file size, which Arrow knows without reading the audio, in seconds.

    0 for a row without audio.
    """
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are created on import
    table = dataset.with_format("arrow")
    for first in range(0, len(dataset), _ROWS_AT_ONCE):
        files = table[first : first + _ROWS_AT_ONCE][column]
        sizes, paths = (pc.struct_field(files, name) for name in ("bytes", "path"))
        for size, path in zip(pc.binary_length(sizes).to_pylist(), paths.to_pylist(), strict=True):
            known = size is not None or not path
            yield probable_seconds(path or "", size or 0) if known else probable_length(path)
