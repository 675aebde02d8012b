"""Features of the recordings of an evaluation, computed once and kept on disk by recording.

Evaluations need all frames of a recording, by its id. `slmzoo.training.data.feature_samples` keeps a random share of
the frames of a corpus without their ids, memory-mapped for k-means: one store for both would serve neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from slmcore.files import atomic
from slmcore.roles import Encoder
from slmzoo.evaluation.units.reading import read_recordings
from slmzoo.evaluation.units.unit_store import fingerprint

__all__ = ["RECORDINGS_PER_FILE", "blocks", "features_of", "lengths"]

RECORDINGS_PER_FILE = 64
"""Recordings whose features share a file, the most that an interruption loses."""


def features_of(
    encoder: Encoder, layer: int | None, files: Mapping[str, Path], store: Path, models: Mapping[str, str]
) -> tuple[list[Path], dict[str, str]]:
    """Compute features into files of 64 recordings; also return why some have none (empty, silent, damaged).

    A later call reuses the content of the folder `store` for the same files and `models` (see `unit_store`).
    """
    store.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    failed: dict[str, str] = {}
    names = sorted(files)
    with tqdm(total=len(names), desc="features", unit="file", disable=None) as progress:
        for first in range(0, len(names), RECORDINGS_PER_FILE):
            block = {name: files[name] for name in names[first : first + RECORDINGS_PER_FILE]}
            made = fingerprint(block, {**models, "layer": str(layer)})
            path = store / f"features-{first // RECORDINGS_PER_FILE:05d}.safetensors"
            kept = _kept(path, made)
            wanted = {name: file for name, file in block.items() if name not in kept}
            features = _make(encoder, layer, wanted, failed)
            if features:
                _write(path, {**(load_file(path) if kept else {}), **features}, made)
            if features or kept:
                paths.append(path)
            progress.update(len(block))
    return paths, failed


def blocks(paths: Sequence[Path]) -> Iterator[dict[str, Tensor]]:
    """Yield the features (T, D) of each recording by id, file by file."""
    return (load_file(path) for path in paths)


def lengths(paths: Sequence[Path]) -> dict[str, int]:
    """Return the number of frames of each recording, without reading them."""
    num_frames: dict[str, int] = {}
    for path in paths:
        with safe_open(path, "pt") as file:
            num_frames |= {name: file.get_slice(name).get_shape()[0] for name in file.keys()}  # noqa: SIM118
    return num_frames


def _make(encoder: Encoder, layer: int | None, files: Mapping[str, Path], failed: dict[str, str]) -> dict[str, Tensor]:
    features: dict[str, Tensor] = {}
    for part in read_recordings(files, encoder.sample_rate):
        failed |= {failure.id: failure.reason for failure in part.failed}
        for item, wav in zip(part.items, part.wavs, strict=True):
            try:
                features[item.id] = encoder.features(wav, encoder.sample_rate, layer).cpu()
            except ValueError as error:
                failed[item.id] = " ".join(str(error).split())
    return features


def _write(path: Path, features: dict[str, Tensor], made: str) -> None:
    with atomic.replacing(path) as part:
        save_file({name: x.contiguous() for name, x in features.items()}, part, {"made_of": made})


def _kept(path: Path, made: str) -> set[str]:
    """Return the recordings in a file; none if it is missing, damaged, or of other files or models."""
    try:
        with safe_open(path, "pt") as file:
            return set(file.keys()) if (file.metadata() or {}).get("made_of") == made else set()
    except (OSError, SafetensorError):
        return set()
