"""Features of a folder of speech on disk: a share of the frames of each file, in blocks that are memory-mapped."""

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

__all__ = ["Features", "cepstral_features", "drawn_frames", "encoder_features", "npy", "num_sampled"]


Features = Callable[[Sequence[Path]], list[Tensor]]
"""Audio files to what is known of their frames: (frames, dim) each."""


def encoder_features(encoder: WavLM, layer: int | None) -> Features:
    """Those of an encoder's block, all files of a call computed in one batch."""

    def of(files: Sequence[Path]) -> list[Tensor]:
        wavs = [audio.resample(*audio.load(file), encoder.sample_rate) for file in files]
        return encoder.features_batch(wavs, encoder.sample_rate, layer)

    return of


def cepstral_features(files: Sequence[Path]) -> list[Tensor]:
    """Mel cepstra of each file, of `cepstra`."""
    return [cepstra(audio.resample(*audio.load(file), WavLM.sample_rate)[0]) for file in files]


def num_sampled(frames: int, share: float) -> int:
    """How many frames of a file of so many are drawn: the share of them, one at least."""
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
    """A random `share` of the frames of each file, one at least: memory-mapped float32 blocks (n, dim).

    And of each file how many these are.

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
                    write_bytes(block, npy(torch.cat(frames)))
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


def npy(x: Tensor) -> bytes:
    """The content of an .npy file."""
    content = BytesIO()
    np.save(content, x.numpy())
    return content.getvalue()
