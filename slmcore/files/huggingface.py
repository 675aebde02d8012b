"""Folders of models as `transformers` saves them: config.json, and weights in one file or in several."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import read_plain

__all__ = ["is_model_folder", "read_config", "read_json", "read_weights"]

_CONFIG, _KIND = "config.json", "model_type"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def is_model_folder(path: Path) -> bool:
    """Whether `path` is a model folder of `transformers`, with a config.json."""
    return (path / _CONFIG).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of config.json. Raises CheckpointError if it is damaged or names no kind of model."""
    config = read_json(folder / _CONFIG)
    if not isinstance(config.get(_KIND), str):
        raise CheckpointError(f"{folder / _CONFIG} has no `{_KIND}`: it is not a config of transformers.")
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises CheckpointError if there is none, FileNotFoundError without the file."""
    if not path.is_file():
        raise FileNotFoundError(f"No file at {path}. Download the whole folder.")
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON: {error}. Download it again.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds no JSON object. Download it again.")
    return found


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a folder by their published names, on the CPU, in the files' dtypes.

    Safetensors take precedence over pickles. Raises FileNotFoundError if weights, or one of several files, are missing,
    CheckpointError for damaged ones and for files outside the folder.
    """
    state: dict[str, Tensor] = {}
    for path in _files(folder):
        if not path.is_file():
            raise FileNotFoundError(f"{folder} lacks {path.name}, a part of the weights. Download the whole folder.")
        state |= _tensors(path)
    return state


def _files(folder: Path) -> Iterator[Path]:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            yield folder / name
            return
        index = folder / f"{name}.index.json"
        if index.is_file():
            places = read_json(index).get("weight_map")
            if not isinstance(places, dict):
                raise CheckpointError(f"{index} has no `weight_map`. Download it again.")
            yield from (_inside(folder, place) for place in sorted(set(map(str, places.values()))))
            return
    raise FileNotFoundError(f"{folder} holds no weights ({' or '.join(_WEIGHTS)}). Download the whole folder.")


def _inside(folder: Path, name: str) -> Path:
    if Path(name).name != name or "\\" in name:
        raise CheckpointError(must("weight_map", "names of files beside it", name, "Do not use this model."))
    return folder / name


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path.name} is no readable safetensors file: {error}. Download it again."
            ) from error
    found = read_plain(path)
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path.name} holds no bare weights by name, as transformers saves them.")
    return dict(found)
