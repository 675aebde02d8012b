"""Zoo of the runs, with the models of earlier stages, and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmcore.clustering import codebook
from slmcore.files import atomic, registry
from slmcore.units import OperatingPoint
from slmzoo.recipes.speech.natural import REFERENCE

__all__ = ["ZOO", "made_at", "of_the_reference", "run_options", "write_report"]

ZOO = "natural"


def run_options(runs: Path, name: str) -> dict[str, Any]:
    """Return the options of a run in `runs/name`, resumable, whose model becomes a row of `runs/zoo.json`."""
    return {"run": runs / name, "resume": True, "zoo": ZOO, "registry": runs / "zoo.json", "seed": 7}


def of_the_reference(data: Path, runs: Path) -> dict[str, Path]:
    """Return the options that name units and speech of the reference voice; it is trained on units as heard."""
    return {
        "train": runs / "heard" / REFERENCE,
        "train_speech": data / "wavs" / "train" / REFERENCE,
        "validation": runs / "units" / "dev" / REFERENCE,
        "validation_speech": data / "wavs" / "dev" / REFERENCE,
    }


def made_at(runs: Path) -> dict[str, Any]:
    """Return the options of the units' operating point, the codebook's.

    Raises ValueError before there is one.
    """
    row = registry.find("codebook", zoo=ZOO, registry=runs / "zoo.json")
    point = codebook.load(row.url).operating_point or OperatingPoint(zoo=ZOO)
    return {name: getattr(point, name) for name in ("k", "lmbda", "num_neighbors", "encoder", "layer")}


def write_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON."""
    atomic.write_bytes(path, (json.dumps(figures, indent=1) + "\n").encode())
