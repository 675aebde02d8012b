"""The demo's unit language model, of all voices, compared with a unigram and a trigram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from mistral_ulm import UnitLM, UnitTokenizer, load
from slmzoo.evaluation.likelihood.ngrams import KneserNey
from slmzoo.recipes.demo.common import DEMO, demo_point, made_at, ship, write_report
from slmzoo.training.data.unit_files import Spoken, UnitSource
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.ulm import UlmSettings, train

__all__ = ["make", "measure"]


def make(data: Path, runs: Path) -> None:
    """Train, measure on held-out sentences, and write the demo's weights."""
    point, units, run = demo_point(), data / "units", runs / "ulm"
    size = {"dim": 192, "n_layers": 4, "head_dim": 32, "hidden_dim": 512, "n_heads": 6, "n_kv_heads": 6, "dropout": 0.1}
    rate = {"steps": 14_000, "batch": 10, "accumulate": 1, "lr": 2e-3, "warmup": 60, "betas": (0.9, 0.99)}
    more = {"chunk": 128, "precision": "bf16"}
    where = {"train": units / "train", "validation": units / "test"}
    train(UlmSettings(run=run, resume=True, **where, **made_at(point), **size, **rate, **more))
    ship(run, "ulm.safetensors", steps=rate["steps"])
    k = point.k or 100
    held_out = [spoken for spoken in UnitSource(units / "test").read(k) if "@" not in spoken.chapter]
    training_set = list(UnitSource(units / "train").read(k))
    write_report(runs / "ulm.json", measure(load(DEMO / "ulm.safetensors"), k, held_out, training_set))


def measure(model: UnitLM, k: int, held_out: Sequence[Spoken], training_set: Sequence[Spoken]) -> dict[str, float]:
    """Measure bits per unit against n-gram models, and how often a sentence is likelier than its own units shuffled."""
    tokenizer = UnitTokenizer(k)
    ids = [tokenizer.encode(spoken.units) for spoken in held_out]
    shuffled = []
    for index, sequence in enumerate(ids):
        order = torch.randperm(len(sequence) - 1, generator=generator(11, index)) + 1
        shuffled.append(torch.cat([sequence[:1], sequence[order]]))
    real, mixed = (torch.tensor(model.loglikelihoods(x, reduction="mean")) for x in (ids, shuffled))
    lengths = torch.tensor([len(sequence) - 1 for sequence in ids])
    total = int(lengths.sum())
    sequences = [spoken.units.tolist() for spoken in training_set]
    grams = {order: KneserNey(sequences, k, order) for order in (1, 3)}
    bits = {order: sum(gram.bits((x[1:] - 1).tolist()) for x in ids) / total for order, gram in grams.items()}
    return {
        "test_sentences": len(ids),
        "bits_per_unit": float(-(real * lengths).sum() / total / math.log(2)),
        "unigram_bits_per_unit": bits[1],
        "trigram_bits_per_unit": bits[3],
        "real_beats_shuffled": float((real > mixed).double().mean()),
    }
