"""Tokenizers of units and of phonemes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError, must

__all__ = ["BOS", "PhonemeTokenizer", "UnitTokenizer"]

BOS = 0
"""Beginning of every sequence; in training the BOS of the next utterance marks the end of one."""
UNK = 1
"""Unknown phoneme."""


class UnitTokenizer:
    """BOS = 0, unit u -> u + 1."""

    bos_id = BOS

    def __init__(self, k: int) -> None:
        self.k = k

    @property
    def vocab_size(self) -> int:
        """k units and BOS."""
        return self.k + 1

    def encode(self, units: Sequence[int] | Tensor) -> Tensor:
        """Encode n >= 1 units in 0..k - 1 as ids (n + 1,) int64, BOS first."""
        ids = _tensor(units)
        if ids.ndim != 1 or not len(ids):
            raise ValueError(must("units", "a sequence of at least one unit", units))
        if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise TypeError(must("units", "whole numbers", f"a tensor of {ids.dtype}"))
        ids = ids.long()  # first: u + 1 would leave the range of a narrow integer type
        if int(ids.min()) < 0 or int(ids.max()) >= self.k:
            remedy = "Use the quantiser and the language model of one (k, lmbda)."
            raise ValueError(must("units", f"in 0..{self.k - 1}", [int(ids.min()), int(ids.max())], remedy))
        return torch.cat([ids.new_full((1,), BOS), ids + 1])

    def framed(self, units: Sequence[int] | Tensor, bos: bool, eos: bool) -> Tensor:
        """Encode units as ids (n,) int64 to score, all but the first of which are scored.

        `bos`: begin with BOS; `eos`: end with the BOS of a next utterance. Raises ValueError if none would be scored.
        """
        ids = self.encode(units)
        framed = torch.cat([ids, ids[:1]]) if eos else ids
        framed = framed if bos else framed[1:]
        if len(framed) < 2:
            raise ValueError(must("units", "at least two without BOS", f"a sequence of {len(ids) - 1}", "Score BOS."))
        return framed

    def decode(self, ids: Sequence[int] | Tensor) -> list[int]:
        """Decode ids to units, without each BOS."""
        return [i - 1 for i in torch.as_tensor(ids).tolist() if i != BOS]


def _tensor(units: Any) -> Tensor:
    try:
        return torch.as_tensor(units)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(must("units", "a sequence of whole numbers", units, "One sequence is `[17, 3]`.")) from error


class PhonemeTokenizer:
    """Tokenizer of the published phoneme language model."""

    bos_id = BOS

    def __init__(self, phoneme_to_id: Mapping[str, int], delimiter: str = " ") -> None:
        self.phoneme_to_id = dict(phoneme_to_id)
        self.delimiter = delimiter
        self._phonemes = {i: p for p, i in self.phoneme_to_id.items()}

    @classmethod
    def from_file(cls, path: str | Path) -> PhonemeTokenizer:
        """Read the published JSON, with `phoneme_to_id` and `delimiter`."""
        try:
            content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            ids = {str(p): int(i) for p, i in content["phoneme_to_id"].items()}
            return cls(ids, str(content.get("delimiter", " ")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{Path(path).name} is no phoneme tokenizer: {error!r}") from error

    @property
    def vocab_size(self) -> int:
        """Phonemes, BOS and UNK."""
        return max([UNK, *self.phoneme_to_id.values()]) + 1

    def encode(self, phonemes: str | Sequence[str]) -> Tensor:
        """Encode phonemes, or text split at the delimiter, as ids (n + 1,) int64, BOS first, UNK for unknown ones."""
        names = phonemes.strip(self.delimiter).split(self.delimiter) if isinstance(phonemes, str) else list(phonemes)
        names = [name for name in names if name]
        if not names:
            raise ValueError(must("phonemes", "at least one phoneme", phonemes))
        return torch.tensor([BOS, *(self.phoneme_to_id.get(name, UNK) for name in names)])

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Decode ids to phonemes joined by the delimiter, without each BOS."""
        names = (self._phonemes.get(i, "UNK") for i in torch.as_tensor(ids).tolist() if i != BOS)
        return self.delimiter.join(names)
