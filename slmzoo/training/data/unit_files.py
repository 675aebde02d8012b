"""Training units of language and acoustic models, from files or the zoo's shards."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from slmcore import shards
from slmcore.errors import must
from slmcore.files import folders
from slmcore.units import OperatingPoint

__all__ = ["Spoken", "UnitSource", "all_checked", "arrays_in", "each_checked", "load_array", "operating_point"]

Item = TypeVar("Item")
Made = TypeVar("Made")
_TOLD = 5


@dataclass(frozen=True)
class Spoken:
    """Units of one utterance."""

    name: str
    """Path of the file below its folder, without suffix, or the id in the shards."""
    chapter: str
    """Chapter of the utterance: the folder of the file, or the chapter in the shards."""
    framewise: Tensor
    """Framewise units, int64 (frames,)."""

    @property
    def units(self) -> Tensor:
        """Deduplicated units, int64 (n,)."""
        return torch.unique_consecutive(self.framewise)


@dataclass(frozen=True)
class UnitSource:
    """Units of a split: a folder `split/**/<chapter>/*.npy` of framewise units, or a shard or folder of shards."""

    path: Path

    @property
    def sharded(self) -> bool:
        """Whether these are shards."""
        return self.path.suffix == ".parquet" or (self.path / shards.INDEX).is_file()

    def provenance(self) -> dict[str, str]:
        """Return the provenance of the shards; nothing for .npy files."""
        return shards.provenance(self.path) if self.sharded else {}

    def frame_rate(self, asked: float | None) -> float:
        """Return frames per second: as requested, else those of the shards, else 50; a ValueError if these disagree."""
        stored = self.provenance().get("frame_rate")
        if None not in (asked, stored) and asked != float(str(stored)):
            raise ValueError(must("frame_rate", f"that of the shards, {stored}", asked))
        return asked if asked is not None else float(stored or 50)

    def read(self, k: int) -> Iterator[Spoken]:
        """Yield all utterances in order.

        At the end a ValueError names those that are empty or hold units >= k, or says that there are none.
        """
        if not self.path.exists():
            raise FileNotFoundError(f"No units at {self.path}. Give a folder of .npy files, or of shards.")
        if self.sharded:
            found = each_checked(shards.read(self.path), lambda record: _of_record(record, k))
        else:
            found = each_checked(arrays_in(self.path), lambda file: self._of_file(file, k))
        count = 0
        for spoken in found:
            count += 1
            yield spoken
        if not count:
            raise ValueError(f"{self.path} holds no units: neither .npy or .txt files nor shards with {shards.INDEX}.")

    def _of_file(self, file: Path, k: int) -> Spoken:
        name = file.relative_to(self.path).with_suffix("")
        return Spoken(name.as_posix(), name.parent.as_posix(), load_array(file, k, "units"))


def arrays_in(folder: Path) -> list[Path]:
    """Return the files below a folder for `load_array`, sorted; linked folders are entered."""
    return sorted(file for file in folders.walk(folder) if file.suffix in _READERS)


def load_array(file: Path, below: int, what: str) -> Tensor:
    """Read framewise integers in 0..below - 1: int64 (n,).

    `file`: .npy, a tensor in .pt, whose axes of length one are dropped, or text as "u74 u74 u123"; the last two as
    published. Raises ValueError for anything else.
    """
    try:
        found = _READERS[file.suffix](file)
    except (ValueError, EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{file} is damaged or no {file.suffix} file of numbers: {error}") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or found.size != max(found.shape, default=0):
        raise ValueError(f"{file} must hold whole numbers (n,), but holds {getattr(found, 'dtype', 'something else')}.")
    return _checked(torch.from_numpy(found.astype(np.int64).reshape(-1)), below, str(file), what)


def _of_tensor(file: Path) -> Any:
    found = torch.load(file, map_location="cpu", weights_only=True)
    return found.numpy() if isinstance(found, Tensor) else found


def _of_text(file: Path) -> Any:
    words = file.read_text(encoding="utf-8-sig").split()
    return np.array([int(word.removeprefix("u")) for word in words], dtype=np.int64)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".npy": lambda file: np.load(file, allow_pickle=False),
    ".pt": _of_tensor,
    ".txt": _of_text,
}


def operating_point(zoo: str, stored: str | None, **asked: Any) -> OperatingPoint:
    """Return the operating point: the options merged with the shards' (JSON). k and lambda must be known.

    Raises ValueError if the two disagree or do not determine k and lambda.
    """
    held = (
        OperatingPoint(zoo=zoo) if stored in (None, "null") else replace(OperatingPoint.from_json(str(stored)), zoo=zoo)
    )
    given = OperatingPoint(zoo=zoo, **asked)
    given.check_compatible(held, "The options and the shards")
    names = [f.name for f in fields(OperatingPoint)]
    joined = {n: getattr(held, n) if getattr(given, n) is None else getattr(given, n) for n in names}
    for name in ("k", "lmbda"):
        if joined[name] is None:
            raise ValueError(must(name, "given", None, "The units do not say it, and the model is found by it."))
    return OperatingPoint(**joined)


def each_checked(items: Iterable[Item], make: Callable[[Item], Made]) -> Iterator[Made]:
    """Apply `make` to each item, then raise one ValueError of the first few errors and their number."""
    wrong: list[str] = []
    count = 0
    for item in items:
        try:
            made = make(item)
        except ValueError as error:
            count += 1
            wrong += [str(error)] if len(wrong) < _TOLD else []
        else:
            yield made
    if wrong:
        more = f" (and {count - _TOLD} more)" if count > _TOLD else ""
        raise ValueError(" ".join(wrong) + more)


def all_checked(items: Iterable[Item], make: Callable[[Item], Made]) -> list[Made]:
    """Return the results of `each_checked` as a list."""
    return list(each_checked(items, make))


def _of_record(record: shards.Record, k: int) -> Spoken:
    framewise = _checked(record.units.framewise(), k, record.id, "units")
    return Spoken(record.id, record.chapter or record.speaker or "", framewise)


def _checked(values: Tensor, below: int, name: str, what: str) -> Tensor:
    if not len(values):
        raise ValueError(f"{name} is empty.")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= below:
        raise ValueError(f"{name}: {must(what, f'in 0..{below - 1}', [low, high])}")
    return values
