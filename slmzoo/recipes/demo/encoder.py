"""The demo's encoder: a WavLM of 0.8 M parameters trained by masked prediction, in three iterations.

The first predicts clusters of normalised MFCCs, each later one clusters of the features of the one before. To make it
speaker-invariant, a sentence spoken by several voices has one sequence of clusters: that of the reference voice, to
which the others are aligned in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import torch
from tqdm import tqdm

from slmcore import audio
from slmcore.clustering import kmeans
from slmcore.clustering.dtw import align
from slmcore.files.places import write_bytes
from slmzoo.recipes.demo.common import features_of, made, ship
from slmzoo.recipes.demo.corpus import REFERENCE
from slmzoo.training.data.feature_samples import Features, cepstral_features, encoder_features, npy
from slmzoo.training.data.pseudo_labels import target_files
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.encoder import EncoderSettings, train
from slmzoo.training.tasks.speaker_directions import spoken_by_all
from wavlm_codebooks import wavlm

__all__ = ["NAME", "make"]

NAME = "wavlm_demo"
CLUSTERS = (100, 200, 200)
"""Numbers of clusters of the iterations."""
_STEPS = (10_000, 8_000, 9_000)
_TEACHING_LAYER = 4
_CLUSTERED_FRAMES = 60_000
_SEED = 7


def make(data: Path, runs: Path) -> None:
    """Train on the sentences spoken by every voice of the corpus, and write the demo's weights."""
    files, features, init = shared(data / "wavs"), cepstral_features, None
    for run, clusters, steps in zip(("encoder-1", "encoder-2", "encoder"), CLUSTERS, _STEPS, strict=True):
        init = _learn(files, runs / run, features, clusters, steps, init)
        features = encoder_features(wavlm.load(init), _TEACHING_LAYER)
    ship(runs / "encoder", "wavlm.safetensors", steps=sum(_STEPS))


def _learn(files: Sequence[Path], run: Path, features: Features, clusters: int, steps: int, init: str | None) -> str:
    """Train on the clusters of features; return the encoder's file."""
    targets = write_targets(files, run.with_name(f"{run.name}-targets"), features, clusters)
    size = {"conv_layers": ("96,128,20", "96,8,4", "128,8,4"), "dim": 128, "ffn_dim": 384, "heads": 4, "layers": 4}
    position = {"conv_pos": 32, "conv_pos_groups": 8, "num_buckets": 64, "max_distance": 160}
    rate = {"steps": steps, "batch": 8, "lr": 2e-3, "warmup": 200, "betas": (0.9, 0.99), "precision": "bf16"}
    objective = {"crop": 100, "warp": 1.12, "mask_start": 0.03, "unmasked_weight": 1.0, "clusters": clusters}
    train(
        EncoderSettings(
            run=run, resume=True, audio=[str(file) for file in files], targets=targets, name=NAME,
            init=init, seed=_SEED, **size, **position, **rate, **objective,
        )
    )  # fmt: skip
    return made(run, "wavlm")


def shared(wavs: Path) -> list[Path]:
    """Return the training wavs of the sentences spoken by all voices, by voice."""
    return sorted(chain.from_iterable(spoken_by_all(audio.find(wavs / "train"))))


def write_targets(files: Sequence[Path], folder: Path, features: Features, clusters: int) -> Path:
    """Write the cluster of each frame of each wav to `folder`, unless it exists; return the folder."""
    places = target_files(files, folder)
    if all(place.exists() for place in places):
        return folder
    found = features_of(files, features)
    references = {file.name: x for file, x in zip(files, found, strict=True) if file.parent.name == REFERENCE}
    frames = torch.cat(list(references.values()))
    some = frames[torch.randperm(len(frames), generator=generator(_SEED, 0))[:_CLUSTERED_FRAMES]]
    codes = kmeans.fit(some, clusters, iterations=50, tolerance=1e-4)
    named = {name: kmeans.assign(x, codes).to(torch.int16) for name, x in references.items()}
    for file, x, place in tqdm(list(zip(files, found, places, strict=True)), desc="alignment"):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, npy(named[file.name][align(x, references[file.name])]))
    return folder
