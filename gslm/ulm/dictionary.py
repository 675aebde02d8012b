"""fairseq's dict.txt: a table from units to token ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError, must
from slmcore.units import Units

__all__ = ["BOS", "EOS", "PAD", "UNK", "UnitDictionary"]

BOS, PAD, EOS, UNK = 0, 1, 2, 3
"""Ids of fairseq's special tokens <s>, <pad>, </s>, <unk>; lines of dict.txt follow from 4."""
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_AGAIN = " #fairseq:overwrite"
_UNIT = re.compile(r"0|[1-9][0-9]{0,5}")


class UnitDictionary:
    """Units to token ids and back, in the order of dict.txt, which sorts units by count."""

    def __init__(self, symbols: Sequence[str], k: int | None = None, first: int = EOS) -> None:
        """`symbols`: those of the lines of dict.txt; `k`: number of units, None for the largest and one more.

        `first` is the id that begins a sequence. Raises CheckpointError for units of `k` and above, or none at all.
        """
        self.symbols, self.first = list(symbols), first
        tokens = enumerate((*_SPECIAL, *self.symbols))
        units = [(int(symbol), index) for index, symbol in tokens if _UNIT.fullmatch(symbol)]
        if not units:
            raise CheckpointError(must("dict.txt", "a list of units and their counts", self.symbols[:5]))
        largest, _ = max(units)
        self.k = largest + 1 if k is None else k
        if largest >= self.k:
            remedy = "It belongs to a model of more units."
            raise CheckpointError(must("dict.txt", f"of units below k = {self.k}", largest, remedy))
        self._ids = torch.full((self.k,), UNK)
        self._units = torch.full((self.vocab_size,), -1)
        for unit, index in units:
            self._ids[unit], self._units[index] = index, unit

    @classmethod
    def from_text(cls, text: str, name: str = "dict.txt", **options: Any) -> UnitDictionary:
        """Read the lines `symbol count` of a dict.txt; a CheckpointError names a line that is none."""
        symbols: list[str] = []
        for number, line in enumerate(text.splitlines(), 1):
            symbol, _, count = line.removesuffix(_AGAIN).rpartition(" ")
            if not symbol or not count.isdecimal():
                raise CheckpointError(must(f"{name}, line {number}", "`symbol count`", line))
            if symbol in (*_SPECIAL, *symbols) and not line.endswith(_AGAIN):
                raise CheckpointError(f"{name}, line {number}: {symbol!r} is in an earlier line or a special token.")
            symbols.append(symbol)
        return cls(symbols, **options)

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> UnitDictionary:
        """Read a dict.txt; FileNotFoundError or CheckpointError if it is none."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"No {path.name} at {path}. A model's units mean nothing without its own dict.txt.")
        try:
            return cls.from_text(path.read_text(encoding="utf-8"), str(path), **options)
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{path} is no text in UTF-8: {error}") from error

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(_SPECIAL) + len(self.symbols)

    def to_dict(self) -> dict[str, Any]:
        """Return the dictionary as plain values for a checkpoint's metadata; the inverse is `from_dict`."""
        return {"symbols": self.symbols, "k": self.k}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None, first: int = EOS) -> UnitDictionary:
        """Return the dictionary of `to_dict`'s result; a CheckpointError for any other object."""
        try:
            return cls(**(values or {}), first=first)
        except TypeError as error:
            raise CheckpointError(f"The checkpoint's tokenizer is no unit dictionary: {error}") from error

    def encode(self, units: Sequence[int] | Tensor | Units) -> Tensor:
        """Ids (n + 1,) int64 of n units in 0..k - 1, the first token before them.

        A unit that dict.txt does not have becomes <unk>. Raises TypeError or ValueError for other units.
        """
        found = torch.as_tensor(units.units if isinstance(units, Units) else units)
        if found.ndim != 1 or (len(found) and (found.is_floating_point() or found.dtype == torch.bool)):
            raise TypeError(must("units", "a sequence of whole numbers", found))
        found = found.long().cpu()
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < self.k:
            remedy = "Use the quantiser and the language model of one k."
            raise ValueError(must("units", f"in 0..{self.k - 1}", [int(found.min()), int(found.max())], remedy))
        return torch.cat([torch.tensor([self.first]), self._ids[found]])

    def is_unit(self, ids: Tensor) -> Tensor:
        """Mask of the ids (n,) that are units: bool (n,)."""
        return self._units[ids] >= 0

    def decode(self, ids: Sequence[int] | Tensor) -> list[int]:
        """Units of ids; special tokens and fairseq's fillers are left out."""
        ids = torch.as_tensor(ids, dtype=torch.int64)
        return self._units[ids][self.is_unit(ids)].tolist()
