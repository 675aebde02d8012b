"""Pseudo-labels for masked prediction: a cluster per frame of each recording, in files of the same layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore.clustering import kmeans
from slmcore.errors import must
from slmzoo.training.data.feature_samples import Features, drawn_frames, write_npy
from slmzoo.training.data.unit_files import all_checked, load_array
from slmzoo.training.loop.run import Run

__all__ = ["make_targets", "read_targets", "target_files"]

_AT_ONCE = 8


def target_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """Return the target file of each recording: `folder` mirrors the deepest folder that holds them all."""
    root = Path(os.path.commonpath([file.parent for file in files]))
    return [(folder / file.relative_to(root)).with_suffix(".npy") for file in files]


def read_targets(files: Sequence[Path], folder: Path, lengths: Sequence[int], clusters: int) -> list[Tensor]:
    """Read the targets of each recording: int16 or int32 (frames,), `lengths` of them, below `clusters`.

    Raises a ValueError that names recordings without targets, and files of a wrong length or with invalid clusters.
    """

    def read(entry: tuple[Path, Path, int]) -> Tensor:
        file, target, length = entry
        if not target.is_file():
            raise ValueError(f"{file} has no targets: {target} is missing.")
        values = load_array(target, clusters, "clusters")
        if len(values) != length:
            raise ValueError(must(str(target), f"of {length} frames, as {file} is", f"an array of {len(values)}"))
        return values.to(_small(clusters))

    return all_checked(zip(files, target_files(files, folder), lengths, strict=True), read)


def make_targets(
    features: Features,
    files: Sequence[Path],
    run: Run,
    *,
    clusters: int,
    share: float,
    seed: int,
) -> Path:
    """Cluster a random `share` of the frames of the recordings, and write the cluster of every frame.

    Returns the run's folder of targets; existing ones are kept.
    """
    folder = run.path / "targets"
    blocks, _ = drawn_frames(features, files, run, share=share, batch=_AT_ONCE, seed=seed)
    codes = kmeans.fit_many(blocks, [clusters], tolerance=1e-4, seed=seed, state=run.path / "kmeans.pt")[clusters]
    places = target_files(files, folder)
    left = [(file, place) for file, place in zip(files, places, strict=True) if not place.exists()]
    with tqdm(total=len(files), initial=len(files) - len(left), desc="targets", unit="file", mininterval=1) as progress:
        for start in range(0, len(left), _AT_ONCE):
            some = left[start : start + _AT_ONCE]
            for (_, place), x in zip(some, features([file for file, _ in some]), strict=True):
                with run.writing("What was computed is kept"):
                    write_npy(place, kmeans.assign(x.cpu(), codes).to(_small(clusters)))
            progress.update(len(some))
    return folder


def _small(clusters: int) -> torch.dtype:
    return torch.int16 if clusters <= 1 << 15 else torch.int32
