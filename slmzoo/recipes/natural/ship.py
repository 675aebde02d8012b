"""The demo's weights in the package: the models of the runs in half precision, and their registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slmcore.files import atomic, zoofile
from slmcore.files.rows import Row
from slmzoo.recipes.demo.common import DEMO, copy_in_half

__all__ = ["make", "ship"]

_ORIGIN = "slmzoo.recipes.natural: small models trained on synthetic speech; a demo, not the published system"
_DATA = "sentences of slmzoo.recipes.speech, synthesised by Kokoro, Piper's joe and flite"
_OF_ROWS = ("variant", "k", "lmbda", "num_neighbors", "layer", "frame_rate", "sample_rate", "longest_seconds")
_RATE, _ENCODER_RATE = 16_000, 50.0


def make(data: Path, runs: Path) -> None:
    """Write the demo's weights from `runs/zoo.json`; `data` is not used."""
    ship(runs, DEMO)


def ship(runs: Path, folder: Path) -> None:
    """Write the models of `runs/zoo.json` to `folder` as `<kind>.safetensors`, and its `zoo.json`.

    Raises FileNotFoundError before any model is trained.
    """
    rows = zoofile.rows_of_file(runs / "zoo.json")
    encoder = next((row.encoder for row in rows if row.encoder), None)
    defaults = {"encoder": encoder, "sample_rate": _RATE, "frame_rate": _ENCODER_RATE}
    about = {**defaults, "licence": "MIT", "origin": _ORIGIN}
    for row in rows:
        recipe = f"python -m slmzoo.recipes.natural, the stage of the {row.kind}"
        copy_in_half(row.url, row.kind, folder / f"{row.kind}.safetensors", recipe=recipe, data=_DATA)
    entries = [_entry(row, about) for row in rows]
    content = {"format": "slmzoo-registry", "version": 1, "zoo": "demo", "defaults": about, "rows": entries}
    atomic.write_bytes(folder / "zoo.json", (json.dumps(content, indent=2) + "\n").encode())


def _entry(row: Row, defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the registry writes it, without what the defaults say; a codec has no encoder."""
    entry: dict[str, Any] = {"kind": row.kind, "file": f"{row.kind}.safetensors"}
    entry |= {name: getattr(row, name) for name in _OF_ROWS if getattr(row, name) is not None}
    entry |= {} if row.encoder == defaults["encoder"] else {"encoder": row.encoder}
    return {name: value for name, value in entry.items() if name not in defaults or value != defaults[name]}
