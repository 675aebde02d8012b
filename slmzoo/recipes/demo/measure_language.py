"""Held-out likelihood of a unit language model beside n-grams, and its preference for units in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mistral_ulm import UnitLM, UnitTokenizer
from slmzoo.evaluation.likelihood.ngrams import KneserNey
from slmzoo.training.data.unit_files import Spoken
from slmzoo.training.loop.task import generator

__all__ = ["measure"]


def measure(model: UnitLM, k: int, held_out: Sequence[Spoken], training_set: Sequence[Spoken]) -> dict[str, float]:
    """Measure bits per unit against n-gram models, and how often a sentence is likelier than its own units shuffled."""
    ids = [UnitTokenizer(k).encode(spoken.units) for spoken in held_out]
    shuffled = [_shuffled(sequence, index) for index, sequence in enumerate(ids)]
    real, mixed = (torch.tensor(model.loglikelihoods(x, reduction="mean")) for x in (ids, shuffled))
    lengths = torch.tensor([len(sequence) - 1 for sequence in ids])
    total = int(lengths.sum())
    sequences = [spoken.units.tolist() for spoken in training_set]
    grams = {order: KneserNey(sequences, k, order) for order in (1, 3)}
    bits = {n: sum(gram.bits(spoken.units.tolist()) for spoken in held_out) / total for n, gram in grams.items()}
    return {
        "test_sentences": len(ids),
        "bits_per_unit": float(-(real * lengths).sum() / total / math.log(2)),
        "unigram_bits_per_unit": bits[1],
        "trigram_bits_per_unit": bits[3],
        "real_beats_shuffled": float((real > mixed).double().mean()),
    }


def _shuffled(ids: Tensor, index: int) -> Tensor:
    """Return the ids in another order, behind the beginning of the sequence."""
    order = torch.randperm(len(ids) - 1, generator=generator(11, index)) + 1
    return torch.cat([ids[:1], ids[order]])
