"""The demo's encoder: a WavLM of 2.4 M parameters trained to predict clusters of Whisper's states at masked frames.

The teacher's input is clean speech; the student's has other talkers, room responses, telephone and other channels,
noise, and other levels and rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from slmcore.clustering import kmeans
from slmzoo.recipes.demo.common import run_options
from slmzoo.recipes.demo.corpus import balanced_by_voice
from slmzoo.recipes.demo.teacher import whisper_features
from slmzoo.training.data.feature_samples import Features, write_npy
from slmzoo.training.data.pseudo_labels import target_files
from slmzoo.training.tasks.encoder import EncoderSettings, train

__all__ = ["NAME", "make", "write_targets"]

NAME = "wavlm_demo"
_CLUSTERED_FILES = 1500
_AT_ONCE = 16
_SIZES: dict[str, Any] = {
    "conv_layers": ("128,160,20", "128,8,4", "192,8,4"), "dim": 192, "ffn_dim": 576, "heads": 6, "layers": 5,
    "conv_pos": 32, "conv_pos_groups": 8, "num_buckets": 64, "max_distance": 160,
}  # fmt: skip
_RATE: dict[str, Any] = {
    "steps": 26_000, "batch": 10, "lr": 1.5e-3, "warmup": 300, "betas": (0.9, 0.98), "precision": "bf16",
}  # fmt: skip
_OBJECTIVE: dict[str, Any] = {"crop": 110, "warp": 1.15, "mask_start": 0.02, "unmasked_weight": 3.0, "clusters": 200}
_DISTURBANCES: dict[str, Any] = {"noise": 0.4, "babble": 0.25, "rooms": 0.4, "channels": 0.5, "quietest_gain": 0.1}


def make(data: Path, runs: Path, features: Features | None = None, **changes: Any) -> None:
    """Train on the clusters of the training set.

    `features`: those that are clustered; Whisper's if left out. `changes`: settings other than the demo's.
    """
    options = {**_SIZES, **_RATE, **_OBJECTIVE, **_DISTURBANCES, "held_out": 40, **changes}
    files = balanced_by_voice(data)
    targets = write_targets(files, runs / "targets", features or whisper_features(), options["clusters"])
    where = {**run_options(runs, "encoder"), "audio": [str(file) for file in files], "targets": targets, "name": NAME}
    train(EncoderSettings(**where, **options))


def write_targets(files: Sequence[Path], folder: Path, features: Features, clusters: int) -> Path:
    """Write the cluster of each frame of each file into `folder`; existing files are kept.

    The clusters are those of evenly spread files, kept in `folder/clusters.npy` for files that come later.
    """
    places = target_files(files, folder)
    left = [(file, place) for file, place in zip(files, places, strict=True) if not place.exists()]
    codes = _codes(files, folder / "clusters.npy", features, clusters)
    for start in tqdm(range(0, len(left), _AT_ONCE), desc="targets", mininterval=10):
        some = left[start : start + _AT_ONCE]
        for (_, place), x in zip(some, features([file for file, _ in some]), strict=True):
            write_npy(place, kmeans.assign(x, codes).to(torch.int16))
    return folder


def _codes(files: Sequence[Path], place: Path, features: Features, clusters: int) -> Tensor:
    if not place.exists():
        chosen = files[:: -(-len(files) // _CLUSTERED_FILES)]
        frames = [x for start in range(0, len(chosen), _AT_ONCE) for x in features(chosen[start : start + _AT_ONCE])]
        write_npy(place, kmeans.fit(torch.cat(frames), clusters, iterations=50, tolerance=1e-4))
    return torch.from_numpy(np.load(place, allow_pickle=False))
