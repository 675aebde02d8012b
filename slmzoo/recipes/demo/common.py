"""Shared parts of the demo's scripts: paths of its weights, its operating point, and their provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore.clustering import codebook
from slmcore.files import atomic
from slmcore.files.checkpoint import read, save
from slmcore.files.zoofile import rows_of_file
from slmcore.units import OperatingPoint
from slmzoo.convert import published
from slmzoo.training.data.feature_samples import Features

__all__ = [
    "DEMO", "copy_in_half", "demo_point", "features_of", "made", "made_at", "of_voice", "ship", "write_report",
]  # fmt: skip

DEMO = Path(__file__).parents[2] / "demo"
"""Folder of the shipped weights."""

_BATCH = 16
_NOTE = "A demo: small, trained on synthetic speech. Its numbers are not the published models'."
_DATA = "sentences of slmzoo.recipes.speech.sentences and .wide, spoken by flite's voices"


def features_of(files: Sequence[Path], features: Features) -> list[Tensor]:
    """Yield the features of each file, (frames, dim), a few files at a time."""
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    return [x for batch in tqdm(batches, desc="features", mininterval=10) for x in features(batch)]


def demo_point() -> OperatingPoint:
    """Return the operating point of the demo's codebook."""
    point = codebook.load(DEMO / "codebook.safetensors").operating_point
    if point is None:
        raise ValueError("The demo's codebook has no operating point. Make it with slmzoo.recipes.demo.")
    return point


def made_at(point: OperatingPoint) -> dict[str, Any]:
    """Return the options that say at which operating point units were made."""
    return {name: getattr(point, name) for name in ("k", "lmbda", "num_neighbors", "encoder", "layer")}


def ship(run: Path, name: str, **figures: float | str) -> None:
    """Copy the final model of a run of `slmzoo train` to the demo, in half precision, with its provenance.

    `name`: its file in the demo, the kind and .safetensors.
    """
    kind, recipe = Path(name).stem, f"python -m slmzoo.recipes.demo --only {run.name}"
    copy_in_half(made(run, kind), kind, DEMO / name, recipe=recipe, data=_DATA, **figures)


def copy_in_half(file: str, kind: str, path: Path, **origin: float | str) -> None:
    """Copy a trained model of `kind` as one of the demo, in half precision; `origin` is added to its provenance."""
    found = read(file, kind, published)
    point = None if found.operating_point is None else replace(found.operating_point, zoo="demo")
    # Settings that name local folders are left to the recipe.
    known = {name: value for name, value in found.provenance.items() if name != "settings"}
    made_by = {**known, "note": _NOTE, "licence": "MIT", **origin}
    save(path, replace(found, operating_point=point, provenance=made_by), torch.float16)


def of_voice(voice: str, units: Path, wavs: Path, held_out: str) -> dict[str, Path]:
    """Return the options that name units and speech of a voice; `held_out`: the split of validation."""
    found: dict[str, Path] = {}
    for name, split in (("train", "train"), ("validation", held_out)):
        found[name], found[f"{name}_speech"] = units / split / voice, wavs / split / voice
    return found


def made(run: Path, kind: str) -> str:
    """Return the file of the final model of a run of `slmzoo train`."""
    return next(row.url for row in rows_of_file(run / "zoo.json") if row.kind == kind)


def write_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON."""
    atomic.write_bytes(path, (json.dumps(figures, indent=1) + "\n").encode())
