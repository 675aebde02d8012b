"""Log-probabilities of sequences laid end to end, for GPUs: no padding between them, and products of one size.

All products of a pack have as many rows as it has room for, so that the same kernels compute them whatever else is
scored, and attention stays within each sequence: what a sequence is packed with does not change its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from slmcore.layers.fast import mistral
from slmcore.layers.fast.attention import Rows
from slmcore.layers.transformer import Transformer

__all__ = ["ROWS", "packed_logprobs", "packs"]

ROWS = {"cuda": 16384}
"""Rows of a pack by kind of device; a longer sequence has one of its own."""
_ROWS_ELSEWHERE = 1024


def packs(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Yield the indices of sequences that fill up to `rows` rows together, in the order given."""
    pack: list[int] = []
    filled = 0
    for index, length in enumerate(lengths):
        if pack and filled + length > rows:
            yield pack
            pack, filled = [], 0
        pack.append(index)
        filled += length
    if pack:
        yield pack


def packed_logprobs(model: Transformer, sequences: Sequence[Tensor]) -> list[Tensor]:
    """Return log p(token | previous tokens) of all tokens but the first of each (n_i + 1,): float32 (n_i,), on the CPU.

    `sequences`: int64, on the CPU; the model must be `fused` where it is. The device is waited for once.
    """
    device = model.tok_embeddings.weight.device
    lengths = [len(s) - 1 for s in sequences]
    scored = [
        _score(model, [sequences[i] for i in pack], device)
        for pack in packs(lengths, ROWS.get(device.type, _ROWS_ELSEWHERE))
    ]
    return list(torch.cat(scored).cpu().split(lengths))


def _score(model: Transformer, sequences: Sequence[Tensor], device: torch.device) -> Tensor:
    """Return the log-probabilities of a pack, end to end, on the device."""
    lengths = [len(s) - 1 for s in sequences]
    filled, room = sum(lengths), ROWS.get(device.type, _ROWS_ELSEWHERE)
    whole = torch.zeros(3, -(-filled // room) * room, dtype=torch.int64, pin_memory=device.type == "cuda")
    whole[0, :filled] = torch.cat([s[:-1] for s in sequences])
    whole[1, :filled] = torch.cat([s[1:] for s in sequences])
    whole[2, :filled] = torch.cat([torch.arange(n) for n in lengths])
    ids, targets, positions = whole.to(device, non_blocking=True)
    hidden = mistral.packed(model, ids, positions, Rows.packed(lengths, device))
    return -cross_entropy(model.output(hidden).float(), targets, reduction="none")[:filled]
