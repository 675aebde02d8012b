"""The demo's weights in the package: the models of the runs in half precision, and their zoos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from slmcore.files import atomic, zoofile
from slmcore.files.checkpoint import read, save
from slmcore.files.rows import Row
from slmzoo import systems
from slmzoo.convert import published

__all__ = ["DEMO", "make", "ship"]

DEMO = Path(__file__).parents[2] / "demo"
"""Folder of the shipped weights."""

_ORIGIN = (
    "slmzoo.recipes.demo: small models trained on synthetic speech, the encoder on recordings of people too; "
    "a demo, not the published system"
)
_DATA = (
    "sentences of slmzoo.recipes.speech, synthesised by Kokoro, Piper's joe and flite; for encoder and codebook also "
    "recordings of people, of slmzoo.recipes.speech.people"
)
_NOTE = "A demo: small, trained on little speech, most of it synthetic. Its numbers are not the published models'."
_OF_ROWS = ("variant", "k", "lmbda", "num_neighbors", "layer", "frame_rate", "sample_rate", "longest_seconds")
_RATE, _ENCODER_RATE = 16_000, 50.0


def make(data: Path, runs: Path) -> None:
    """Write the demo's weights from `runs/zoo.json`; `data` is not used."""
    ship(runs, DEMO)


def ship(runs: Path, folder: Path) -> None:
    """Write the models of `runs/zoo.json` to `folder` as `<kind>.safetensors`, with the JSON files of their zoos.

    A codec that is a system of its own gets a zoo of its own, `demo-<kind>`. Raises FileNotFoundError before any model
    is trained.
    """
    rows = zoofile.rows_of_file(runs / "zoo.json")
    for row in rows:
        _copy_in_half(row, folder / f"{row.kind}.safetensors")
    names = systems.names()
    alone = [row for row in rows if row.kind in names]
    _write_zoo(folder / "zoo.json", "demo", [row for row in rows if row.kind not in names])
    for row in alone:
        _write_zoo(folder / f"{row.kind}.json", f"demo-{row.kind}", [row], system=row.kind)


def _write_zoo(path: Path, zoo: str, rows: Sequence[Row], **about: str) -> None:
    encoder = next((row.encoder for row in rows if row.encoder), None)
    named = {} if encoder is None else {"encoder": encoder}
    defaults = {**named, "sample_rate": _RATE, "frame_rate": _ENCODER_RATE, "licence": "MIT", "origin": _ORIGIN}
    entries = [_entry(row, defaults) for row in rows]
    content = {"format": "slmzoo-registry", "version": 1, "zoo": zoo, **about, "defaults": defaults, "rows": entries}
    atomic.write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def _copy_in_half(row: Row, path: Path) -> None:
    """Copy a trained model as one of the demo, in half precision, with its provenance."""
    checkpoint = read(row.url, row.kind, published)
    point = None if checkpoint.operating_point is None else replace(checkpoint.operating_point, zoo="demo")
    # Settings that name local folders are left to the recipe.
    known = {name: value for name, value in checkpoint.provenance.items() if name != "settings"}
    recipe = f"python -m slmzoo.recipes.demo, the stage of the {row.kind}"
    made_by = {**known, "note": _NOTE, "licence": "MIT", "recipe": recipe, "data": _DATA}
    save(path, replace(checkpoint, operating_point=point, provenance=made_by), torch.float16)


def _entry(row: Row, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the registry writes it, without what the defaults say; a codec has no encoder."""
    entry: dict[str, Any] = {"kind": row.kind, "file": f"{row.kind}.safetensors"}
    entry |= {name: getattr(row, name) for name in _OF_ROWS if getattr(row, name) is not None}
    entry |= {} if row.encoder == defaults.get("encoder") else {"encoder": row.encoder}
    return {name: value for name, value in entry.items() if name not in defaults or value != defaults[name]}
