"""Weights as a file, or as the folder in which they were published or saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, save

__all__ = ["Saved", "weights_file"]

_SAVED_NAME = "model.safetensors"
"""Name of the project's own weights in a folder."""
_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".dev", ".bin")


def weights_file(path: str | Path) -> Path:
    """Return the weights that `path` names: a file, or a folder with `model.safetensors` or one file of weights.

    Raises FileNotFoundError where there is none, ValueError where a folder leaves a choice.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"No weights at {path}. Give the path of an existing file or folder.")
    if (path / _SAVED_NAME).is_file():
        return path / _SAVED_NAME
    found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if not found:
        raise FileNotFoundError(f"The folder {path} holds no weights ({', '.join(_SUFFIXES)}).")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(must("path", "a folder with one file of weights", names, "Give the path of the file."))
    return found[0]


class Saved(nn.Module):
    """A model that is written to a folder in the project's format."""

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config and weights, and where they come from."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its checkpoint holds.")

    def save_pretrained(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the model into a folder, which is made; return the file, which `from_pretrained` loads."""
        path = Path(folder) / _SAVED_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, self.checkpoint(provenance))
        return path

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device
