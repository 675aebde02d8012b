"""The demo's acoustic model: `python -m slmzoo.recipes.demo.ellav --data DIR --runs DIR`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from simple_parsing import parse
from torch import Tensor
from tqdm import tqdm

import wavtokenizer
from ellav import EllaV, EllaVTokenizer
from slmcore import audio
from slmcore.checkpoint import save
from slmcore.layers.transformer import TransformerConfig
from slmzoo.recipes.demo.common import DEMO, demo_point, provenance
from slmzoo.training.ellav import Utterance, check_durations, masked_loss, sample_batch
from slmzoo.training.loop import Schedule, fit, generator

__all__ = ["main"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train the demo's ELLA-V on the voice slt."""

    data: Path
    """Folder that the corpus and its units were written to."""
    runs: Path
    """Folder for checkpoints and logs; a stopped run goes on from there."""
    steps: int = 1100
    """Optimiser steps."""
    batch: int = 8
    """Utterances a step."""
    voice: str = "slt"
    """The voice it speaks with."""


def main() -> None:
    """Encode the voice with the demo's codec, train, and write the demo's weights."""
    options = parse(Options)
    codec = wavtokenizer.load(DEMO / "wavtokenizer.safetensors")
    point = demo_point()
    tokenizer = EllaVTokenizer.for_units(point.k or 100, codec.num_codes, 50, codec.frame_rate)
    utterances = [u for u in _utterances(options, codec) if len(u.units)]
    for utterance in utterances:
        check_durations(utterance, tokenizer)
    torch.manual_seed(7)
    config = TransformerConfig(
        dim=128, n_layers=3, head_dim=32, hidden_dim=320, n_heads=4, n_kv_heads=4, vocab_size=tokenizer.vocab_size,
        output_bias=True,
    )  # fmt: skip
    model = EllaV(config, tokenizer, point)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        ids, mask = sample_batch(utterances, tokenizer, options.batch, generator(5, step))
        return masked_loss(model, ids, mask), {}

    schedule = Schedule(steps=options.steps, lr=3e-3, warmup=60)
    fit(model, loss, schedule, options.runs / "ellav", save_every=100)
    made = provenance("ellav", steps=options.steps, utterances=len(utterances), voice=options.voice)
    save(DEMO / "ellav.safetensors", model.checkpoint(made), torch.float16)


def _utterances(options: Options, codec: wavtokenizer.WavTokenizer) -> list[Utterance]:
    """Units from disk, codec tokens kept beside them once they are made."""
    folder = options.data / "codes" / "train" / options.voice
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for file in tqdm(sorted((options.data / "units" / "train" / options.voice).glob("*.npy")), desc="codec tokens"):
        kept = folder / file.name
        if not kept.exists():
            wav, rate = audio.load(options.data / "wavs" / "train" / options.voice / f"{file.stem}.wav")
            np.save(kept, codec.encode(wav, rate).flatten().cpu().numpy().astype(np.int16))
        units, codes = (torch.from_numpy(np.load(f).astype(np.int64)) for f in (file, kept))
        found.append(Utterance(file.stem, units, codes))
    return found


if __name__ == "__main__":
    main()
