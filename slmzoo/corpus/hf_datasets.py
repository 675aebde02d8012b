"""Access to datasets of the Hugging Face library: rows, and the audio bytes of a row."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from slmcore.errors import must
from slmcore.files import places

__all__ = ["PREFIX", "audio_bytes", "loaded", "parts_of"]

PREFIX = "huggingface:"


def audio_bytes(name: str, row: int) -> bytes:
    """Return the audio file of a row. Raises ValueError for a row without audio, OSError for a missing file."""
    dataset, column = loaded(name)
    cell = dataset[row][column] or {}
    if cell.get("bytes") is not None:
        return cell["bytes"]
    if not cell.get("path"):
        raise ValueError(f"{PREFIX}{name}, row {row}, holds no audio: `{column}` is null.")
    return places.read_bytes(cell["path"])


@lru_cache(maxsize=2)
def loaded(name: str) -> tuple[Any, str]:
    """Open a dataset with undecoded audio; also return the name of its audio column.

    Raises ImportError without the library, ValueError for a name without its split or a dataset without one column of
    audio.
    """
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"{PREFIX}{name} needs the library datasets: pip install 'slmzoo[datasets]'.") from error
    place, *parts = parts_of(name)
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


def parts_of(name: str) -> list[str]:
    """Split a name into dataset, configuration and split, as far as given."""
    return re.split(r":(?![^\[]*\])", name)  # not at that of train[:10]
