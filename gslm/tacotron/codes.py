"""The code_dict of a Tacotron: a table from units to input ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError, must
from slmcore.units import Units

__all__ = ["CodeTable", "Inputs", "read_lines"]

_START, _END = "<s>", "</s>"
_UNIT = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, eq=False)
class Inputs:
    """Units as input ids of a Tacotron."""

    ids: Tensor
    """int64 (n,)."""
    sources: Tensor
    """Index of the unit that each id stands for, int64 (n,); the ends of a sequence belong to the adjacent unit."""
    complete: bool
    """Whether every unit has an id."""


class CodeTable:
    """Units to input ids: 0 is padding, the lines of code_dict follow from 1.

    The published readers disagree on <s> and </s> where the file lacks them: one appends them with the next free ids,
    the other drops them. Here they take the next free ids as far as the embedding has rows for them.
    """

    def __init__(
        self,
        lines: Sequence[str],
        rows: int,
        *,
        add_sos: bool = False,
        add_eos: bool = False,
        collapse: bool = False,
        k: int | None = None,
    ) -> None:
        """`rows`: those of the model's embedding; `collapse`: join repeats; `k`: units, None for the largest and one.

        Raises CheckpointError for a table that does not fit the rows or `k`.
        """
        if not 1 + len(lines) <= rows <= 3 + len(lines):
            remedy = "Tables differ by model, and another one gives fluent nonsense: use the model's own."
            requirement = f"of {max(0, rows - 3)} to {rows - 1} lines for this model"
            raise CheckpointError(must("code_dict", requirement, f"a list of {len(lines)} lines", remedy))
        self.lines, self.rows, self.add_sos, self.add_eos, self.collapse = list(lines), rows, add_sos, add_eos, collapse
        self._ids = {symbol: index for index, symbol in enumerate(self.lines, 1)}
        units = [int(symbol) for symbol in self._ids if _UNIT.fullmatch(symbol)]
        if not units:
            raise CheckpointError(must("code_dict", "a list of units", self.lines[:5]))
        self.k = max(units) + 1 if k is None else k
        if max(units) >= self.k:
            remedy = "It belongs to a model of more units."
            raise CheckpointError(must("code_dict", f"of units below k = {self.k}", max(units), remedy))
        self._ids |= self._appended()

    @classmethod
    def from_file(cls, path: str | Path, rows: int, **options: Any) -> CodeTable:
        """Read a code_dict, one symbol a line; FileNotFoundError or CheckpointError if it is none."""
        try:
            return cls(read_lines(path), rows, **options)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values for a checkpoint's metadata; the inverse is `from_dict`."""
        names = ("lines", "rows", "add_sos", "add_eos", "collapse", "k")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> CodeTable:
        """Return the table of `to_dict`'s result; a CheckpointError for any other object."""
        try:
            return cls(**(values or {}))
        except TypeError as error:
            raise CheckpointError(f"The checkpoint's tokenizer is no table of codes: {error}") from error

    def encode(self, units: Sequence[int] | Tensor | Units) -> Inputs:
        """Return the inputs of units in 0..k - 1, (n,); those that the table lacks are left out.

        Raises TypeError or ValueError for other units.
        """
        return self.read([str(unit) for unit in self._checked(units)])

    def read(self, tokens: Sequence[str]) -> Inputs:
        """Return the inputs of symbols, (n,), among which those of the ends may be."""
        places = [(token, place) for place, token in enumerate(tokens)]
        if places and self.add_sos:
            places.insert(0, (_START, 0))
        if places and self.add_eos:
            places.append((_END, len(tokens) - 1))
        kept: list[tuple[int, int]] = []
        for token, place in places:
            index = self._ids.get(token)
            if index is not None and not (self.collapse and kept and kept[-1][0] == index):
                kept.append((index, place))
        ids, sources = torch.tensor(kept, dtype=torch.int64).reshape(-1, 2).unbind(1)
        return Inputs(ids, sources, all(token in self._ids for token in tokens))

    def _appended(self) -> dict[str, int]:
        """Ids of the requested ends of a sequence that the file lacks and the embedding has a row for."""
        wanted = [symbol for symbol, flag in ((_START, self.add_sos), (_END, self.add_eos)) if flag]
        missing = [symbol for symbol in wanted if symbol not in self._ids]
        places = range(1 + len(self.lines), self.rows)
        return dict(zip(missing, places, strict=False))

    def _checked(self, units: Sequence[int] | Tensor | Units) -> list[int]:
        found = torch.as_tensor(units.units if isinstance(units, Units) else units)
        if found.ndim != 1 or (len(found) and (found.is_floating_point() or found.dtype == torch.bool)):
            raise TypeError(must("units", "a sequence of whole numbers", found))
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < self.k:
            remedy = "Use the quantiser and the acoustic model of one k."
            raise ValueError(must("units", f"in 0..{self.k - 1}", [int(found.min()), int(found.max())], remedy))
        return found.tolist()


def read_lines(path: str | Path) -> list[str]:
    """Return the symbols of a code_dict, one a line; FileNotFoundError or CheckpointError if it is none."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No code_dict at {path}. A model's units mean nothing without its own code_dict.")
    try:
        return [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise CheckpointError(f"not a text in UTF-8: {error}") from error
