"""The demo's codebook and operating point, and the units of the whole corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from slmcore import audio
from slmcore.files.places import write_bytes
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from slmzoo.recipes.natural.common import ZOO, run_options
from slmzoo.recipes.natural.corpus import balanced_by_voice
from slmzoo.training.data.feature_samples import npy
from slmzoo.training.tasks.codebook import CodebookSettings, train

__all__ = ["make", "units_of", "write_units"]

_CODEBOOK: dict[str, Any] = {"layer": 5, "k": (200,), "frame_fraction": 0.05, "trials": 2, "batch": 16}
_RATE: dict[str, Any] = {"rate": 20.0, "num_neighbors": 20, "rated_files": 300}


def make(data: Path, runs: Path, **changes: Any) -> None:
    """Cluster the features of all speakers, fit lambda, and write framewise units to `runs/units`.

    `changes`: settings other than the demo's.
    """
    heard = [str(file) for file in balanced_by_voice(data)]
    where = {**run_options(runs, "codebook"), "encoder_zoo": ZOO, "audio": heard}
    train(CodebookSettings(**{**where, **_CODEBOOK, **_RATE, **changes}))
    write_units(units_of(runs), data, runs / "units")


def units_of(runs: Path) -> Pipeline:
    """Return the pipeline to units of the runs' zoo."""
    return hub.pipeline(zoo=ZOO, registry=runs / "zoo.json", with_ulm=False, with_speech=False)


def write_units(pipeline: Pipeline, data: Path, folder: Path) -> None:
    """Write int16 units (frames,) as `folder/<split>/<speaker>/<id>.npy`; existing files are kept."""
    wavs = data / "wavs"
    places = {file: (folder / file.relative_to(wavs)).with_suffix(".npy") for file in audio.find([wavs])}
    left = [(file, place) for file, place in places.items() if not place.exists()]
    for file, place in tqdm(left, desc="units", mininterval=10):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, npy(pipeline.units(*audio.load(file)).framewise().to(torch.int16)))
