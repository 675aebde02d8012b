"""Tokenizer of ELLA-V: unit or phone names and codec tokens to ids, for prompts and training sequences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from slmcore.configs import ModelConfig
from slmcore.errors import CheckpointError, must

__all__ = ["BOS", "EOP", "EOS", "UNK", "EllaVTokenizer"]

UNK, BOS, EOP, EOS = range(4)
_SPECIAL = ("UNK", "BOS", "EOP", "EOS")
_FIRST_PHONE = len(_SPECIAL)
# Stated in the published files, and the same in all of them.
_CONSTANTS: dict[str, object] = {
    "num_special_types": len(_SPECIAL),
    **{f"{name}_token": name for name in _SPECIAL},
    **{f"{name}_id": i for i, name in enumerate(_SPECIAL)},
}
_UNIT = re.compile(r"u?-?\d+", re.IGNORECASE)
_PRIORITIES = {"EOP": 0, "phone": 1, "codec": 2}


@dataclass(frozen=True, kw_only=True)
class EllaVTokenizer(ModelConfig, describes="a tokenizer of ELLA-V"):
    """Ids: UNK 0, BOS 1, EOP 2, EOS 3, then the phones, then the codec tokens "0", "1", ..."""

    token_to_id_dict: Mapping[str, int]
    num_phone_types: int
    phone_token_rate: float
    """Framewise phones per second."""
    num_codec_types: int
    codec_token_rate: float
    """Codec tokens per second."""
    tokens_not_to_sandwich: Sequence[str] = field(default_factory=tuple)
    """Phones left out of a prompt, such as silence."""

    def __post_init__(self) -> None:
        size = _FIRST_PHONE + self.num_phone_types + self.num_codec_types
        ids = self.token_to_id_dict
        if sorted(ids.values()) != list(range(size)) or [ids.get(name) for name in _SPECIAL] != list(range(4)):
            raise CheckpointError(f"The tokenizer's ids must be 0..{size - 1}, with {_SPECIAL} first.")
        if any(ids.get(str(code)) != self.first_codec + code for code in range(self.num_codec_types)):
            raise CheckpointError("The tokenizer's codec tokens must follow the phones, in order.")

    @classmethod
    def for_units(
        cls, k: int, num_codec_types: int, phone_token_rate: float, codec_token_rate: float
    ) -> EllaVTokenizer:
        """Return the tokenizer for units u0..u(k - 1), whose names are sorted as strings, as in the published files."""
        names = [*_SPECIAL, *sorted(f"u{unit}" for unit in range(k)), *map(str, range(num_codec_types))]
        return cls(
            token_to_id_dict={name: i for i, name in enumerate(names)},
            num_phone_types=k,
            phone_token_rate=phone_token_rate,
            num_codec_types=num_codec_types,
            codec_token_rate=codec_token_rate,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EllaVTokenizer:
        """Read the `tokenizer` of a checkpoint; unknown keys and other special tokens are refused."""
        different = [name for name, value in _CONSTANTS.items() if values.get(name, value) != value]
        if different:
            raise CheckpointError(must("tokenizer", f"one with {_CONSTANTS}", different))
        return super().from_dict({name: value for name, value in values.items() if name not in _CONSTANTS})

    def to_dict(self) -> dict[str, Any]:
        """Return the tokenizer as a dictionary that `from_dict` reads."""
        return {**super().to_dict(), "tokens_not_to_sandwich": list(self.tokens_not_to_sandwich)}

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self.first_codec + self.num_codec_types

    @property
    def first_codec(self) -> int:
        """Id of codec token 0."""
        return _FIRST_PHONE + self.num_phone_types

    def phone_ids(self, phones: Sequence[str]) -> Tensor:
        """Return the ids (n,) of phones without repeats and without the tokens not to sandwich.

        Unknown names become UNK, as published. Raises a ValueError for names of other tokens (the codec's "17") and
        for units that the model does not have.
        """
        if isinstance(phones, str) or not all(isinstance(phone, str) for phone in phones):
            raise TypeError(
                must("phones", 'a sequence of names such as "u17"', phones, 'Use [f"u{u}" for u in units].')
            )
        skipped = set(self.tokens_not_to_sandwich)
        kept = [phone for phone, _ in groupby(phone for phone in phones) if phone not in skipped]
        return torch.tensor([self._id(phone) for phone, _ in groupby(kept)], dtype=torch.int64)

    def encode_infer(self, phones: Sequence[str]) -> Tensor:
        """Encode a prompt: phones, BOS, first phone (arXiv 2401.07333, section 3). A ValueError if none is left."""
        ids = self.phone_ids(phones)
        if not len(ids):
            raise ValueError(must("phones", "at least one phone that is to be spoken", list(phones)))
        return torch.cat([ids, torch.tensor([BOS]), ids[:1]])

    def encode_train(self, framewise_phones: Sequence[str], codec_tokens: Sequence[int] | Tensor) -> Tensor:
        """Encode a training sequence: phones, BOS, each phone with its codec tokens and EOP, and EOS: int64 (n,).

        The phones, one for each frame at `phone_token_rate`, and the codec tokens, at `codec_token_rate`, are merged
        by their start times; at equal times EOP comes before a phone and a phone before a codec token.
        """
        codes = torch.as_tensor(codec_tokens).tolist()
        if not len(framewise_phones) or not codes:
            raise ValueError("Phones and codec tokens must not be empty: there would be nothing to train on.")
        # Times in units of 1 / (product of both rates), to be exact.
        phone_step, codec_step = self.codec_token_rate, self.phone_token_rate
        events: list[tuple[float, int, int]] = []
        frame = 0
        for phone, repeats in groupby(framewise_phones):
            count = len(list(repeats))
            events.append(((frame + count) * phone_step, _PRIORITIES["EOP"], EOP))
            events.append((frame * phone_step, _PRIORITIES["phone"], self._id(phone)))
            frame += count
        events += [(i * codec_step, _PRIORITIES["codec"], self._codec_id(code)) for i, code in enumerate(codes)]
        events.sort(key=lambda event: event[:2])
        phones = [self._id(phone) for phone, _ in groupby(framewise_phones)]
        return torch.tensor([*phones, BOS, *(token for _, _, token in events), EOS])

    def loss_mask(self, ids: Tensor) -> Tensor:
        """Return the mask of scored targets, bool like `ids`: without UNK, and the phones and BOS given at inference.

        The published mask, `id > 4`, includes the very first phone name; this one does not.
        """
        given = (ids == UNK) | (ids == BOS) | ((ids >= _FIRST_PHONE) & (ids < self.first_codec))
        return ~given

    def _id(self, phone: str) -> int:
        """Return the id of a phone, UNK for an unknown one, as published; a ValueError for an obvious mistake.

        That is a name of another token (the codec's "17", "EOS"), or of a unit that the model does not have.
        """
        found = self.token_to_id_dict.get(phone, UNK)
        if _FIRST_PHONE <= found < self.first_codec:
            return found
        if found != UNK or (self._of_units and _UNIT.fullmatch(phone)):
            known = f"of u0 to u{self.num_phone_types - 1}" if self._of_units else "names of phones"
            remedy = 'Use [f"u{u}" for u in units], with units of the same k.' if self._of_units else ""
            raise ValueError(must("phones", known, phone, remedy))
        return UNK

    @cached_property
    def _of_units(self) -> bool:
        return all(f"u{unit}" in self.token_to_id_dict for unit in range(self.num_phone_types))

    def _codec_id(self, code: int) -> int:
        if not 0 <= code < self.num_codec_types:
            raise ValueError(must("codec_tokens", f"in 0..{self.num_codec_types - 1}", code))
        return self.first_codec + code
