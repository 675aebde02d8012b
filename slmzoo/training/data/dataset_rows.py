"""Audio of a dataset of the Hugging Face hub, read row group by row group from its Parquet files while it is used.

Nothing but the files' footers is read at the start, and no more than a few row groups are held at a time. The order of
the rows is a function of the number of the pass alone: whoever knows a position can resume from it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from torch import Tensor

from slmcore import audio
from slmcore.errors import must
from slmzoo.corpus.hf_datasets import PREFIX, parts_of

__all__ = ["DatasetRows"]

logger = logging.getLogger(__name__)
_GROUPS_HELD = 4
_TRIES = 100


class DatasetRows:
    """Rows with audio of one split, in Parquet files: `NAME[:CONFIG]:SPLIT`, NAME of a repository or a folder.

    Each pass goes through all row groups in an order of its own, and through the rows of a group in their order. A row
    whose audio cannot be read is named in the log once and replaced by the next one that can.
    """

    def __init__(self, name: str, column: str | None = None) -> None:
        """`column`: that with the audio, a struct of bytes and path; may be left out where there is one.

        Raises ImportError without the library datasets, ValueError for a name without a split, a dataset that is not
        of Parquet files, an empty one, or one without the column.
        """
        self.name = name
        self._files = _parquet_files(name)
        self._groups = [(place, group, rows) for place in range(len(self._files)) for group, rows in self._sizes(place)]
        self._ends = list(accumulate(rows for *_, rows in self._groups))
        if not self._ends or not self._ends[-1]:
            raise ValueError(must("audio", "a dataset with rows", f"{PREFIX}{name}, which has none"))
        self._column = self._checked(column)
        self._reported: set[int] = set()
        self._read_group = lru_cache(_GROUPS_HELD)(self._group)
        self._order_of = lru_cache(2)(self._order)

    def __len__(self) -> int:
        return self._ends[-1]

    @property
    def identity(self) -> str:
        """Digest of the files' names and sizes: another one is another dataset."""
        content = json.dumps([[str(name).rpartition("/")[2] for name in self._files], self._groups])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def read(self, row: int) -> tuple[Tensor, int]:
        """Return the audio of a row, mono (1, samples), and its rate in Hz; ValueError or OSError if it has none."""
        group = bisect_right(self._ends, row)
        first = self._ends[group - 1] if group else 0
        return _decoded(self._read_group(group)[row - first], f"{PREFIX}{self.name}, row {row}")

    def of_stream(self, number: int) -> tuple[Tensor, int]:
        """Return the audio of the `number`-th row of the stream, from 0, as `read` does.

        Raises ValueError if a hundred rows in succession cannot be read.
        """
        for offset in range(_TRIES):
            row = self._row_at(number + offset)
            try:
                return self.read(row)
            except (ValueError, OSError) as error:
                self._tell(row, error)
        raise ValueError(f"{PREFIX}{self.name} has {_TRIES} rows in succession without audio that can be read.")

    def _row_at(self, number: int) -> int:
        """Row at a position of the stream."""
        passed, place = divmod(number, len(self))
        groups, ends = self._order_of(passed)
        at = bisect_right(ends, place)
        group = groups[at]
        inside = place - (ends[at - 1] if at else 0)
        return (self._ends[group - 1] if group else 0) + inside

    def _order(self, passed: int) -> tuple[list[int], list[int]]:
        """Groups of a pass in their order, and how many rows there are up to the end of each."""
        order = np.random.Generator(np.random.PCG64(passed)).permutation(len(self._groups)).tolist()
        return order, list(accumulate(self._groups[group][2] for group in order))

    def _tell(self, row: int, error: Exception) -> None:
        if row not in self._reported:
            self._reported.add(row)
            logger.warning("Row %d is skipped, %d so far: %s", row, len(self._reported), error)

    def _group(self, number: int) -> list[Any]:
        from pyarrow import parquet

        place, group, _ = self._groups[number]
        with _opened(self._files[place]) as file:
            table = parquet.ParquetFile(file).read_row_group(group, columns=[self._column])
        return table.column(self._column).to_pylist()

    def _sizes(self, place: int) -> list[tuple[int, int]]:
        from pyarrow import parquet

        with _opened(self._files[place]) as file:
            about = parquet.ParquetFile(file).metadata
            return [(group, about.row_group(group).num_rows) for group in range(about.num_row_groups)]

    def _checked(self, column: str | None) -> str:
        """Return the name of the column of audio; a ValueError that names those there are."""
        from pyarrow import parquet

        with _opened(self._files[0]) as file:
            fields = list(parquet.ParquetFile(file).schema_arrow)
        columns = [field.name for field in fields if _holds_audio(field.type)]
        if column is None and len(columns) == 1:
            return columns[0]
        if column is None or column not in columns:
            expected = f"one of {', '.join(columns)}" if columns else "that of a dataset with a column of audio"
            raise ValueError(must("column", f"{expected} in {PREFIX}{self.name}", column, "Give --column."))
        return column


def _decoded(value: Any, what: str) -> tuple[Tensor, int]:
    content = (value or {}).get("bytes")
    if content is None:
        raise ValueError(f"{what}, holds no audio.")
    wav, rate = audio.decode(io.BytesIO(content), what)
    wav = audio.mono(wav, what)
    audio.check(wav, rate, what)
    return wav, rate


def _holds_audio(kind: Any) -> bool:
    """Whether a column's type is a struct with bytes, as the library stores audio."""
    from pyarrow import types

    return types.is_struct(kind) and kind.get_field_index("bytes") >= 0


def _parquet_files(name: str) -> Sequence[str]:
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"{PREFIX}{name} needs the library datasets: pip install 'slmzoo[datasets]'.") from error
    place, *parts = parts_of(name)
    if not parts:
        raise ValueError(must("dataset", "NAME[:CONFIG]:SPLIT", name))
    config = parts[0] if len(parts) > 1 else None
    found = datasets.load_dataset_builder(place, config).config.data_files or {}
    data_files = {str(split): files for split, files in found.items()}
    if parts[-1] not in data_files:
        raise ValueError(must("split", f"one of {', '.join(data_files) or 'none'} in {place}", parts[-1]))
    files = [str(file) for file in data_files[parts[-1]]]
    others = [file for file in files if not file.endswith(".parquet")]
    if others:
        raise ValueError(must("dataset", "stored as Parquet files to be streamed", others[0]))
    return files


def _opened(place: str) -> Any:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(place)
    return system.open(path, "rb")
