"""The files of the toy zoos and their registries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write", "write_codec_only"]

K = 4
MODULES = "tests.toy_system.system,tests.toy_system.codec_only"


def _bigrams() -> list[list[float]]:
    """A unit is probably followed by the next one."""
    return [[0.7 if b == (a + 1) % K else 0.1 for b in range(K)] for a in range(K)] + [[0.25] * K]


def write(folder: Path) -> Path:
    """Write the complete system, zoo "toy", and return its registry."""
    contents: dict[str, dict[str, Any]] = {
        "encoder.json": {"bands": K},
        "codebook.json": {"k": K},
        "bigram.json": {"table": _bigrams()},
        "tones.json": {"k": K},
        "codec.json": {"levels": 2},
    }
    rows: list[dict[str, Any]] = [
        {"kind": "toy_encoder", "file": "encoder.json"},
        {"kind": "toy_codebook", "file": "codebook.json", "k": K, "default": True},
        {"kind": "toy_bigram", "file": "bigram.json", "k": K, "lmbda": 2},
        {"kind": "toy_tones", "file": "tones.json", "k": K, "lmbda": 2},
        {"kind": "toy_codec", "file": "codec.json"},
    ]
    return _written(folder, "toy", "toy", contents, rows)


def write_codec_only(folder: Path) -> Path:
    """Write the codec alone, zoo "toy-codec", and return its registry."""
    rows = [{"kind": "toy_codec", "file": "codec.json", "sample_rate": 8000}]
    return _written(folder, "toy-codec", "toy-codec", {"codec.json": {"levels": 2}}, rows)


def _written(folder: Path, zoo: str, system: str, contents: dict[str, Any], rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    about = {"format": "slmzoo-registry", "version": 1, "zoo": zoo, "system": system}
    registry = folder / "zoo.json"
    registry.write_text(json.dumps({**about, "rows": rows}))
    return registry
