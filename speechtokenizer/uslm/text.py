"""Phones to the ids that USLM reads (vall-e's form)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["PhoneTokenizer", "split"]

_SPECIAL = ("<pad>", "<bos>", "<eos>")
_WORD = "_"


def split(phonemized: str) -> list[str]:
    """Return the tokens of phonemizer's output with "_" between words and "|" between phones.

    They are phones and punctuation marks, and "_" between words.
    """
    words = [re.findall(r"\w+|[^\w\s|]", word) for word in phonemized.split(_WORD)]
    return [token for word in words for token in (*word, _WORD)][:-1]


class PhoneTokenizer:
    """Phones to ids: padding 0, begin 1, end 2, then the symbols in the order of their code points.

    `language` is the espeak-ng voice of the phones.
    """

    def __init__(self, symbols: Iterable[str], language: str = "en-us") -> None:
        self.symbols = (*_SPECIAL, *sorted(set(symbols) - set(_SPECIAL)))
        self.language = language
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PhoneTokenizer:
        """Return the tokenizer that `to_dict` describes; ValueError for an object of another form."""
        symbols, language = content.get("symbols"), content.get("language")
        strings = isinstance(symbols, (list, tuple)) and all(isinstance(symbol, str) for symbol in symbols)
        if not strings or not isinstance(language, str):
            raise ValueError(must("tokenizer", "an object with lists of `symbols` and a `language`", content))
        return cls(symbols or (), language)

    def to_dict(self) -> dict[str, Any]:
        """Return symbols and language as plain values, for a checkpoint."""
        return {"symbols": list(self.symbols[len(_SPECIAL) :]), "language": self.language}

    @classmethod
    def from_k2(cls, path: str | Path) -> PhoneTokenizer:
        """Read a k2 symbol table, lines of `symbol number`; the numbers mean nothing, and k2's `<eps>` is a symbol.

        Raises FileNotFoundError, or ValueError for a line of another form.
        """
        symbols = {"<eps>"}
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if fields and (len(fields) != 2 or not fields[1].isdigit()):
                raise ValueError(must(f"{path}, line {number},", "a symbol and a number", line))
            symbols.update(fields[:1])
        return cls(symbols)

    def __len__(self) -> int:
        """Number of ids."""
        return len(self.symbols)

    def encode(self, tokens: Sequence[str]) -> Tensor:
        """Return the ids (n + 2,), int64, of n tokens between begin and end; ValueError names an unknown token."""
        unknown = sorted(set(tokens) - set(self._ids))
        if unknown:
            raise ValueError(must("tokens", "symbols of the table", " ".join(unknown), "The model has not seen them."))
        return torch.tensor([1, *(self._ids[token] for token in tokens), 2])
