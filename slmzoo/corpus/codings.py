"""Units of one utterance in the formats of other systems, per file or per line, read strictly."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.shards import Record

__all__ = [
    "Pairs",
    "from_ellav",
    "from_npy",
    "from_slamkit",
    "from_speechtokenizer",
    "from_textlesslib",
    "from_zerosyl",
    "to_ellav",
    "to_npy",
    "to_slamkit",
    "to_speechtokenizer",
    "to_textlesslib",
    "to_zerosyl",
]

Pairs = tuple[Tensor, Tensor]
"""Units and durations in frames, int64 (n,) each."""

_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32)


def from_npy(content: bytes) -> Pairs:
    """Parse an .npy file of framewise units."""
    return _joined(torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False)))


def to_npy(record: Record) -> bytes:
    """Framewise units, int64."""
    file = io.BytesIO()
    np.save(file, record.units.framewise().numpy())
    return file.getvalue()


def from_ellav(content: bytes) -> Pairs:
    """Parse text of framewise units, "u74 u74 u123"."""
    words = content.decode("utf-8-sig").split()
    if not all(word.startswith("u") for word in words):
        raise ValueError("units are written u0, u1, ...")
    return _joined(_numbers([word[1:] for word in words]))


def to_ellav(record: Record) -> bytes:
    """Framewise units, "u74 u74 u123"."""
    return (" ".join(f"u{unit}" for unit in record.units.framewise().tolist()) + "\n").encode()


def from_slamkit(line: bytes) -> tuple[str, Pairs]:
    """A JSON line {"units", "duration", "file_name"}."""
    row = json.loads(line)
    name, units, durations = (row[key] for key in ("file_name", "units", "duration"))
    if not isinstance(name, str):
        raise ValueError(must("file_name", "a text", name))
    return name, (_whole("units", units), _whole("duration", durations))


def to_slamkit(record: Record) -> bytes:
    """A JSON line {"units", "duration", "file_name"}."""
    row = {"units": record.units.units.tolist(), "duration": record.units.durations.tolist(), "file_name": record.id}
    return (json.dumps(row) + "\n").encode()


def from_textlesslib(line: bytes) -> tuple[str, Pairs]:
    """A line name<TAB>framewise units."""
    name, tab, ids = line.decode().rstrip("\r\n").partition("\t")
    if not tab:
        raise ValueError("a line is name<TAB>units, but holds no tab")
    return name, _joined(_numbers(ids.split()))


def to_textlesslib(record: Record) -> bytes:
    """A line name<TAB>framewise units."""
    if any(sign in record.id for sign in "\t\r\n"):
        raise ValueError(must("id", "without tabs and line ends, to begin a line", record.id))
    return f"{record.id}\t{' '.join(map(str, record.units.framewise().tolist()))}\n".encode()


def from_zerosyl(content: bytes) -> Pairs:
    """A tensor (n, 3) of start, end and unit, without gaps."""
    rows = _tensor(content)
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype not in _WHOLE:
        raise ValueError(must("units", "an int64 tensor (n, 3)", f"a {rows.dtype} tensor {tuple(rows.shape)}"))
    starts, ends, units = rows.long().unbind(1)
    if len(rows) and (starts[0] != 0 or not torch.equal(starts[1:], ends[:-1])):
        raise ValueError("the units do not follow one another without a gap from frame 0 on")
    return units, ends - starts


def to_zerosyl(record: Record) -> bytes:
    """A tensor (n, 3) of start, end and unit."""
    ends = record.units.durations.cumsum(0)
    return _saved(torch.stack([ends - record.units.durations, ends, record.units.units], 1))


def from_speechtokenizer(content: bytes) -> Pairs:
    """Codes (n_q, 1, frames); those of the first codebook are the units."""
    codes = _tensor(content)
    if codes.ndim != 3 or codes.shape[1] != 1:
        raise ValueError(must("codes", "a tensor (n_q, 1, frames)", f"a tensor {tuple(codes.shape)}"))
    return _joined(codes[0, 0])


def to_speechtokenizer(record: Record) -> bytes:
    """Framewise units as codes (1, 1, frames)."""
    return _saved(record.units.framewise()[None, None])


def _joined(framewise: Tensor) -> Pairs:
    if framewise.ndim != 1 or framewise.dtype not in _WHOLE:
        given = f"a {framewise.dtype} tensor {tuple(framewise.shape)}"
        raise ValueError(must("units", "whole numbers (frames,)", given))
    units, durations = torch.unique_consecutive(framewise.long(), return_counts=True)
    return units, durations


def _numbers(words: Sequence[str]) -> Tensor:
    """Parse plain decimal numbers: `int` would also accept 1_0, +1 and digits of other scripts."""
    wrong = next((word for word in words if not (word.isascii() and word.isdecimal())), None)
    if wrong is not None:
        raise ValueError(must("units", "whole numbers >= 0", wrong))
    return torch.tensor([int(word) for word in words], dtype=torch.int64)


def _whole(name: str, values: Any) -> Tensor:
    """Check a list of JSON integers: torch would truncate fractions."""
    if not isinstance(values, list):
        raise ValueError(must(name, "a list of whole numbers", values))
    _check_whole(name, values)
    return torch.tensor(values, dtype=torch.int64)


def _check_whole(name: str, values: Iterable[Any]) -> None:
    for value in values:
        if type(value) is not int:
            raise ValueError(must(name, "a list of whole numbers", value, "Round them where they are made."))


def _tensor(content: bytes) -> Tensor:
    file = io.BytesIO(content)
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(loaded, Tensor):
        raise ValueError(must("the file", "one tensor", f"a {type(loaded).__name__}"))
    return loaded


def _saved(tensor: Tensor) -> bytes:
    file = io.BytesIO()
    torch.save(tensor, file)
    return file.getvalue()
