"""The demo's encoder: `python -m slmzoo.recipes.demo.encoder --data DIR --runs DIR`.

A WavLM of 0.8 M parameters learns to name, behind masks, the k-means clusters of voice-normalised mel cepstra. It goes
on where it stopped, and writes `slmzoo/demo/wavlm.safetensors` when it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from simple_parsing import parse
from torch import Tensor

from slmcore import audio
from slmcore.checkpoint import save
from slmcore.units import OperatingPoint
from slmzoo.recipes.demo.common import DEMO, provenance
from slmzoo.training.encoder import EncoderObjective, EncoderTrainer, cepstra
from slmzoo.training.loop import Schedule, fit
from wavlm_codebooks import WavLM, WavLMConfig, kmeans

__all__ = ["CONFIG", "ENCODER", "main", "train"]

ENCODER = "wavlm_demo"
CONFIG = WavLMConfig(
    conv_layers=((32, 10, 5), (32, 3, 2), (48, 3, 2), (48, 3, 2), (64, 3, 2), (64, 2, 2), (64, 2, 2)),
    dim=128,
    ffn_dim=384,
    heads=4,
    layers=4,
    conv_pos=32,
    conv_pos_groups=8,
    num_buckets=64,
    max_distance=160,
)
OBJECTIVE = EncoderObjective(crop=100, batch=8)
SCHEDULE = Schedule(steps=2000, lr=1.5e-3, warmup=200)
CLUSTERS = 100
_CLUSTERED_FRAMES = 60_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train the demo's encoder on every voice of the corpus."""

    data: Path
    """Folder of the corpus."""
    runs: Path
    """Folder for checkpoints and logs; a stopped run goes on from there."""


def main() -> None:
    """Train and write the demo's weights."""
    options = parse(Options)
    encoder = train(options.data, options.runs)
    save(DEMO / "wavlm.safetensors", encoder.checkpoint(provenance("encoder", steps=SCHEDULE.steps)), torch.float16)


def train(data: Path, runs: Path) -> WavLM:
    """Train on every voice of `data`, with the state under `runs`."""
    wavs = [_samples(path) for path in audio.find(data / "wavs" / "train")]
    torch.manual_seed(OBJECTIVE.seed)
    encoder = WavLM(CONFIG, OperatingPoint(zoo="demo", encoder=ENCODER))
    trainer = EncoderTrainer(encoder, wavs, targets(wavs, runs / "targets.pt"), CLUSTERS, OBJECTIVE)
    fit(trainer, trainer.loss, SCHEDULE, runs / "encoder")
    return encoder


def targets(wavs: list[Tensor], path: Path) -> list[Tensor]:
    """The cluster of each frame of each wav, int16 (frames,), kept at `path`."""
    if path.exists():
        return torch.load(path, weights_only=True)
    features = [cepstra(wav / 32768) for wav in wavs]
    frames = torch.cat(features)
    draw = torch.Generator().manual_seed(OBJECTIVE.seed)
    some = frames[torch.randperm(len(frames), generator=draw)[:_CLUSTERED_FRAMES]]
    codes = kmeans.fit(some, CLUSTERS, iterations=50, tolerance=1e-4)
    found = [kmeans.assign(x, codes).to(torch.int16) for x in features]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, path)
    return found


def _samples(path: Path) -> Tensor:
    wav, sr = audio.load(path)
    return (audio.resample(wav, sr, WavLM.sample_rate)[0] * 32768).round().clamp(-32768, 32767).to(torch.int16)


if __name__ == "__main__":
    main()
