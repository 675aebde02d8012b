"""Features of a folder of speech on disk: a fraction of the frames of each file, in memory-mapped blocks.

k-means reads all frames in each pass, whichever file they are of: hence plain arrays to map, where the evaluation's
`slmzoo.evaluation.units.feature_store` keeps whole recordings by id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files.places import write_bytes
from slmzoo.training.data.mfcc import cepstra
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import generator
from wavlm_codebooks import WavLM

__all__ = ["Features", "cepstral_features", "drawn_frames", "encoder_features", "num_sampled", "write_npy"]


Features = Callable[[Sequence[Path]], list[Tensor]]
"""Function from audio files to the features of each: (frames, dim)."""


def encoder_features(encoder: WavLM, layer: int | None) -> Features:
    """Return the features of an encoder's block, computed in one batch per call."""

    def of(files: Sequence[Path]) -> list[Tensor]:
        wavs = [audio.resample(*audio.load(file), encoder.sample_rate) for file in files]
        return encoder.features_batch(wavs, encoder.sample_rate, layer)

    return of


def cepstral_features(files: Sequence[Path]) -> list[Tensor]:
    """Return the MFCCs of each file."""
    return [cepstra(audio.resample(*audio.load(file), WavLM.sample_rate)[0]) for file in files]


def num_sampled(frames: int, share: float) -> int:
    """Return how many frames of a file are drawn: a share of them, at least one."""
    return max(1, round(share * frames))


def drawn_frames(
    features: Features,
    files: Sequence[Path],
    run: Run,
    *,
    share: float,
    batch: int,
    seed: int,
    block_values: int = 1 << 24,
) -> tuple[list[np.ndarray], list[int]]:
    """Sample a `share` of the frames of each file, at least one: memory-mapped float32 blocks (n, dim).

    Also returns how many frames are of each file.

    The features are computed for `batch` files at a time, and a block is written once it has `block_values` numbers.
    The blocks lie in the run's folder `frames`, named after the
    numbers of their files; those that are there are not made again. Raises ValueError if they are of other files, what
    `slmcore.audio.load` raises for a file that cannot be used, and OSError if the disk is full.
    """
    folder = run.path / "frames"
    folder.mkdir(exist_ok=True)
    _check_files(folder / "files.txt", files)
    done = max([int(path.stem.split("-")[1]) for path in folder.glob("*.npy")], default=0)
    first, frames = done, list[Tensor]()
    with tqdm(total=len(files), initial=done, desc="features", unit="file", mininterval=1) as progress:
        for start in range(done, len(files), batch):
            some = files[start : start + batch]
            for i, x in enumerate(features(some), start):
                chosen = torch.randperm(len(x), generator=generator(seed, i))[: num_sampled(len(x), share)]
                frames.append(x[chosen].cpu())
            progress.update(len(some))
            end = start + len(some)
            if end == len(files) or sum(x.numel() for x in frames) >= block_values:
                block = folder / f"{first:09d}-{end:09d}.npy"
                with run.writing(f"The features of {first} files are kept"):
                    write_bytes(block.with_suffix(".json"), json.dumps([len(x) for x in frames]).encode())
                    write_npy(block, torch.cat(frames))
                first, frames = end, []
    blocks = sorted(folder.glob("*.npy"))
    counts = [count for path in blocks for count in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))]
    return [np.load(path, mmap_mode="r") for path in blocks], counts


def _check_files(record: Path, files: Sequence[Path]) -> None:
    now = "".join(f"{file}\n" for file in files)
    if not record.exists():
        write_bytes(record, now.encode())
    elif record.read_text(encoding="utf-8") != now:
        shown = f"a list of {len(files)} others"
        raise ValueError(must("audio", f"the files of {record}", shown, "Give --overwrite to begin again."))


def write_npy(place: Path, x: Tensor) -> None:
    """Write a tensor as an .npy file, atomically, and make its folder."""
    content = BytesIO()
    np.save(content, x.numpy())
    place.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(place, content.getvalue())
