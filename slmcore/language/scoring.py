"""Log-probabilities of many sequences, with little padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from slmcore.batching import batches
from slmcore.language.packing import packed_logprobs
from slmcore.layers.transformer import Transformer
from slmcore.threads import for_linears

__all__ = ["TOKENS_AT_ONCE", "on_host", "sequence_logprobs"]

TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 65536}
"""Tokens of a batch, padding included. More than 1024 are no faster on a CPU, whose cache they exceed."""


def sequence_logprobs(model: Transformer, sequences: Sequence[Tensor], progress: bool = False) -> list[Tensor]:
    """Return log p(token | previous tokens) of all tokens but the first of each (n_i + 1,): float32 (n_i,), on the CPU.

    Equal sequences are scored once, so that they have equal values: in two batches they would differ by float32
    rounding (about 1e-5 in a sum).
    """
    sequences = on_host(sequences)
    keys = [s.long().numpy().tobytes() for s in sequences]
    unique = dict(zip(keys, sequences, strict=True))
    found: dict[bytes, Tensor] = {}
    device = model.tok_embeddings.weight.device
    names, distinct = list(unique), list(unique.values())
    if names and model.fused(device):
        found = dict(zip(names, packed_logprobs(model, distinct), strict=True))
        return [found[key].clone() for key in keys]
    budget = TOKENS_AT_ONCE.get(device.type, 8192)
    with tqdm(total=len(names), desc="scoring", unit="seq", disable=not progress) as bar:
        for batch in batches([len(s) for s in distinct], budget):
            chosen = [distinct[i] for i in batch]
            with for_linears(model, sum(map(len, chosen))):
                scored = _score(model, chosen)
            found |= {names[i]: logprobs for i, logprobs in zip(batch, scored, strict=True)}
            bar.update(len(batch))
    return [found[key].clone() for key in keys]


def on_host(sequences: Sequence[Tensor]) -> list[Tensor]:
    """Return sequences (n_i,) on the CPU; those on a GPU are waited for once, not one by one."""
    if len({s.dtype for s in sequences}) != 1 or not all(s.is_cuda and s.ndim == 1 for s in sequences):
        return [s.cpu() for s in sequences]
    return list(torch.cat([*sequences]).cpu().split([len(s) for s in sequences]))


def _score(model: Transformer, sequences: Sequence[Tensor]) -> Sequence[Tensor]:
    device = model.tok_embeddings.weight.device
    hidden = model.hidden(pad_sequence([s[:-1] for s in sequences], batch_first=True).to(device))
    # The head is a large part of a small model, so padding is removed before it.
    real = torch.cat([row[: len(s) - 1] for row, s in zip(hidden, sequences, strict=True)])
    logits = model.output(real)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    logprobs = -cross_entropy(logits, torch.cat([s[1:] for s in sequences]).to(device), reduction="none")
    return logprobs.cpu().split([len(s) - 1 for s in sequences])
