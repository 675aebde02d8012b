"""Weights given as a file, or as the folder in which they were published or saved."""

from __future__ import annotations

from pathlib import Path

from slmcore.errors import must

__all__ = ["SAVED_NAME", "weights_file"]

SAVED_NAME = "model.safetensors"
"""What the project's own weights are called in a folder."""
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
    if (path / SAVED_NAME).is_file():
        return path / SAVED_NAME
    found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if not found:
        raise FileNotFoundError(f"The folder {path} holds no weights ({', '.join(_SUFFIXES)}).")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ValueError(must("path", "a folder with one file of weights", names, "Give the path of the file."))
    return found[0]
