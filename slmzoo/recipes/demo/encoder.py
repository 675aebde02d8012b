"""The demo's encoder: `python -m slmzoo.recipes.demo.encoder --data DIR --runs DIR`.

A WavLM of 0.8 M parameters learns to name, behind masks, the k-means clusters of voice-normalised mel cepstra. It goes
on where it stopped, and writes `slmzoo/demo/wavlm.safetensors` when it is done.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor

from slmcore import audio
from slmcore.checkpoint import save
from slmcore.units import OperatingPoint
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
SCHEDULE = Schedule(steps=3000, lr=1.5e-3, warmup=200)
CLUSTERS = 100
_CLUSTERED_FRAMES = 60_000
_PROVENANCE = {
    "recipe": "slmzoo.recipes.demo.encoder",
    "data": "sentences of slmzoo.recipes.demo.sentences spoken by flite's voices slt, rms, awb and kal16",
    "licence": "MIT",
    "note": "A demo: small, trained for minutes on synthetic speech.",
}


def main() -> None:
    """Train with the paths given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the state of the run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "demo" / "wavlm.safetensors")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    train(options.data, options.runs, options.out)


def train(data: Path, runs: Path, out: Path, schedule: Schedule = SCHEDULE) -> WavLM:
    """Train on every voice of `data`, with the state under `runs`, and write the encoder to `out` in half precision."""
    wavs = [_samples(path) for path in audio.find(data / "wavs" / "train")]
    torch.manual_seed(OBJECTIVE.seed)
    encoder = WavLM(CONFIG, OperatingPoint(zoo="demo", encoder=ENCODER))
    trainer = EncoderTrainer(encoder, wavs, targets(wavs, runs / "targets.pt"), CLUSTERS, OBJECTIVE)
    fit(trainer, trainer.loss, schedule, runs / "encoder")
    save(out, encoder.checkpoint(_PROVENANCE), torch.float16)
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
