"""The demo's unit language model: `python -m slmzoo.recipes.demo.ulm --data DIR --runs DIR`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from simple_parsing import parse
from torch import Tensor

from mistral_ulm import UnitLM, UnitTokenizer
from slmcore.checkpoint import save
from slmcore.layers.transformer import TransformerConfig
from slmzoo.recipes.demo.common import DEMO, demo_point, provenance, write_report
from slmzoo.training.loop import Schedule, fit, generator
from slmzoo.training.ulm import chapter, chunk_loss, sample_chunks

__all__ = ["main"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train the demo's language model on the units of all voices."""

    data: Path
    """Folder that the corpus and its units were written to."""
    runs: Path
    """Folder for checkpoints and logs; a stopped run goes on from there."""
    steps: int = 900
    """Optimiser steps."""
    batch: int = 10
    """Chunks a step."""
    length: int = 128
    """Ids a chunk."""


def deduplicated(folder: Path) -> list[Tensor]:
    """The units of each utterance in a folder, repeats joined."""
    files = sorted(folder.rglob("*.npy"))
    return [torch.unique_consecutive(torch.from_numpy(np.load(file).astype(np.int64))) for file in files]


def main() -> None:
    """Train, measure on held-out sentences, and write the demo's weights."""
    options = parse(Options)
    point = demo_point()
    tokenizer = UnitTokenizer(point.k or 100)
    chapters = []
    for voice in sorted((options.data / "units" / "train").iterdir()):
        utterances = deduplicated(voice)
        order = torch.randperm(len(utterances), generator=generator(1, 0)).tolist()
        chapters.append(chapter([utterances[i] for i in order], tokenizer))
    torch.manual_seed(7)
    config = TransformerConfig(
        dim=128, n_layers=3, head_dim=32, hidden_dim=320, n_heads=4, n_kv_heads=4, vocab_size=tokenizer.vocab_size
    )
    model = UnitLM(config, point)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        chunks = sample_chunks(chapters, options.length, options.batch, generator(3, step))
        return chunk_loss(model, chunks), {}

    schedule = Schedule(steps=options.steps, lr=2e-3, warmup=60, weight_decay=0.05)
    fit(model, loss, schedule, options.runs / "ulm")
    units = sum(len(c) for c in chapters)
    save(
        DEMO / "ulm.safetensors",
        model.checkpoint(provenance("ulm", steps=options.steps, train_units=units)),
        torch.float16,
    )
    write_report(options.runs / "ulm.json", measure(model, tokenizer, options.data, chapters))


def measure(model: UnitLM, tokenizer: UnitTokenizer, data: Path, chapters: list[Tensor]) -> dict[str, float]:
    """Bits per unit beside a unigram's, and how often a real sentence beats its own units shuffled."""
    test = [
        u for voice in sorted((data / "units" / "test").iterdir()) if "@" not in voice.name for u in deduplicated(voice)
    ]
    ids = [tokenizer.encode(u) for u in test]
    shuffled = []
    for index, sequence in enumerate(ids):
        order = torch.randperm(len(sequence) - 1, generator=generator(11, index)) + 1
        shuffled.append(torch.cat([sequence[:1], sequence[order]]))
    real, mixed = (torch.tensor(model.loglikelihoods(x, reduction="mean")) for x in (ids, shuffled))
    lengths = torch.tensor([len(u) for u in test])
    counts = Counter(torch.cat(chapters).tolist())
    total = sum(n for i, n in counts.items() if i)
    unigram = -sum(math.log2((counts[int(i) + 1] + 1) / (total + tokenizer.k)) for u in test for i in u)
    return {
        "test_sentences": len(test),
        "bits_per_unit": float(-(real * lengths).sum() / lengths.sum() / math.log(2)),
        "unigram_bits_per_unit": unigram / int(lengths.sum()),
        "real_beats_shuffled": float((real > mixed).double().mean()),
    }


if __name__ == "__main__":
    main()
