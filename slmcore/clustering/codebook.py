"""Codebook: the code vectors that features are quantised to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.clustering import kmeans
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.pretrained import Savable, weights_file
from slmcore.units import OperatingPoint

__all__ = ["Codebook", "load", "published"]


@dataclass(frozen=True, eq=False)
class Codebook(Savable):
    """Codes for the features of one layer of one encoder."""

    entry_point = "codebook"

    codes: Tensor
    """float32 (k, dim)."""
    operating_point: OperatingPoint | None = None
    """Encoder and layer of the codes, as far as known."""

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or not self.codes.is_floating_point() or not len(self.codes):
            shown = f"a {self.codes.dtype} tensor of {tuple(self.codes.shape)}"
            raise CheckpointError(must("codebook", "a floating-point tensor (k, dim)", shown))

    @property
    def k(self) -> int:
        """Number of codes."""
        return self.codes.shape[0]

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.codes.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of the codes."""
        return self.codes.device

    @property
    def config(self) -> dict[str, int]:
        """Config, as written to model files."""
        return {"k": self.k, "dim": self.dim}

    def assign(self, features: Tensor) -> Tensor:
        """Nearest code of each frame: (frames, dim) -> int64 (frames,)."""
        return kmeans.assign(features, self.codes.to(features.device))

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Codebook:
        """The codebook of a checkpoint of kind "codebook", in float32."""
        return cls(checkpoint.state["codebook"].float(), checkpoint.operating_point)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Codebook:
        """Load a published or saved codebook: a file, a folder with one, or `hf://owner/repo`.

        Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """The codebook as a checkpoint that `slmcore.files.checkpoint.save` writes."""
        return Checkpoint(
            kind="codebook",
            config=self.config,
            state={"codebook": self.codes},
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )


def load(path: str | Path) -> Codebook:
    """The codebook of a model file, published (`.pt`) or of the project (`.safetensors`)."""
    return Codebook.from_checkpoint(read(path, "codebook", published))


def published(obj: Mapping[str, Tensor]) -> Checkpoint:
    """Translate `{'codebook': (k, dim)}` as published."""
    return Codebook(obj["codebook"].float()).checkpoint()
