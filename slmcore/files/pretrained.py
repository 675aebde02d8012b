"""Weights as a file, a folder in which they were published or saved, or a repository of the Hugging Face hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import nn

from slmcore.errors import must
from slmcore.files import card, model_hub
from slmcore.files.card import Card
from slmcore.files.checkpoint import Checkpoint, save
from slmcore.files.fetch import resolve
from slmcore.units import OperatingPoint

__all__ = ["Publishable", "Savable", "Saved", "local_folder", "weights_file"]

_SAVED_NAME = "model.safetensors"
"""Name of the project's own weights in a folder."""
_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".dev", ".bin")


def weights_file(path: str | Path) -> Path:
    """Return the file of the weights that `path` names.

    `path`: a file, or a folder with `model.safetensors` or one file of weights, on this machine; `hf://owner/repo`,
    such a folder on the Hugging Face hub; or `hf://owner/repo/file` or another URL of a file. Raises FileNotFoundError
    where there are no weights, ValueError where a folder leaves a choice, FetchError for a download that fails.
    """
    if isinstance(path, str) and "://" in path and not model_hub.is_folder(path):
        return resolve(path)
    path = local_folder(path)
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


def local_folder(path: str | Path) -> Path:
    """Return the folder on this machine that `path` or `hf://owner/repo[@revision]` names; a path need not exist."""
    if isinstance(path, str) and model_hub.is_folder(path):
        return model_hub.folder_of(path)
    return Path(path).expanduser()


class Publishable(ABC):
    """Object that can be saved to a folder, and so to a repository of the Hugging Face hub."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the object and its model card into a folder, which is made if it does not exist."""

    @abstractmethod
    def model_card(self, address: str, provenance: Mapping[str, Any] | None = None) -> Card:
        """Return the card of the object that `from_pretrained` loads from `address`."""

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        message: str | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> str:
        """Upload the output of `save_pretrained` to the Hugging Face hub, by the account of `hf auth login`.

        `repo`: "owner/name", made if it does not exist, and then `private` or not. A model card that a person wrote
        there is kept. Returns its address, "hf://owner/name", which `from_pretrained` loads.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, provenance)
            card.write(Path(folder), self.model_card(f"hf://{repo}", provenance))
            message = message or f"Upload {type(self).__name__}"
            return model_hub.upload(Path(folder), repo, private=private, message=message)


class Savable(Publishable):
    """A model that is one file in the project's format."""

    entry_point: ClassVar[str | None] = None
    """Entry point of torch.hub that loads such a file as its `checkpoint`."""

    @abstractmethod
    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config, weights and provenance."""

    def save_pretrained(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the model and its card into a folder, which is made; return the file, which `from_pretrained` loads.

        `provenance`: where the weights come from, such as recipe, data and licence, and `scores`, numbers by name. The
        card is README.md; one that a person wrote or changed is kept.
        """
        path = Path(folder).expanduser() / _SAVED_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, self.checkpoint(provenance))
        card.write(path.parent, self.model_card(path.parent.name, provenance))
        return path

    def model_card(self, address: str, provenance: Mapping[str, Any] | None = None) -> Card:
        """Return the card of the model that `from_pretrained` loads from `address`, a folder or `hf://owner/repo`."""
        return card.of_model(self, self.checkpoint(provenance), address, self.entry_point)


class Saved(Savable, nn.Module):
    """A module that is one file in the project's format."""

    kind: ClassVar[str]
    """Name of the kind of model in checkpoints."""
    config: Any
    """Sizes, a `slmcore.configs.ModelConfig`."""
    operating_point: OperatingPoint | None = None
    """Operating point of the units, where the model depends on one."""

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config and weights, to be written with `slmcore.files.checkpoint.save`."""
        return Checkpoint(
            kind=self.kind,
            config=self.config.to_dict(),
            state=dict(self.state_dict()),
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device
