"""Options of `slmzoo train ulm` and `slmzoo train ellav`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from slmzoo.training.options.run import TrainOptions

__all__ = ["EllavOptions", "SizeOptions", "UlmOptions", "UnitOptions"]


@dataclass(frozen=True, kw_only=True)
class UnitOptions(TrainOptions):
    """Units to train on."""

    title: ClassVar[str] = "units"

    train: Path
    """Units to train on: a folder of shards, or **/<chapter>/*.npy (or .txt, "u74 u74 u123") of framewise units."""
    validation: Path
    """Held-out units, in the same format."""
    k: int | None = None
    """Number of units; shards carry it, files need it."""
    lmbda: float | None = None
    """Weight of the duration penalty of the units; as for k."""
    num_neighbors: int | None = None
    """Number of nearest codes that a frame could take."""
    encoder: str | None = None
    """Name of the encoder."""
    layer: int | None = None
    """Encoder block, 1-based."""
    frame_rate: float | None = None
    """Frames per second of the units; that of the shards, else 50."""


@dataclass(frozen=True, kw_only=True)
class SizeOptions(UnitOptions):
    """Sizes of the transformer."""

    title: ClassVar[str] = "model sizes"

    dim: int = 1024
    """Width of the transformer."""
    n_layers: int = 12
    """Layers of the transformer."""
    head_dim: int = 64
    """Width of a head; even."""
    hidden_dim: int = 4096
    """Width of the feed-forward layers."""
    n_heads: int = 16
    """Attention heads per layer."""
    n_kv_heads: int = 16
    """Key and value heads; divides n_heads."""
    dropout: float = 0.0
    """Dropout probability in training."""


@dataclass(frozen=True, kw_only=True)
class UlmOptions(SizeOptions):
    """Training of a unit language model."""

    title: ClassVar[str] = "language model"

    steps: int = 10_000
    batch: int = 12
    accumulate: int = 8
    lr: float = 5e-4
    warmup: int = 2_000
    weight_decay: float = 0.05
    dropout: float = 0.15
    chunk: int = 1024
    """Ids per item of a batch; an item spans the utterances of a chapter."""
    init: str | None = None
    """Model file of the same sizes, or hf:NAME for the body of an OPT-, LLaMA-, Mistral- or Qwen2-type text model of
    the hub or a folder, whose sizes are taken over."""
    embeddings: Literal["new", "text"] = "new"
    """With hf:NAME: tables of the units, drawn at random as wide as the text model's; or, as slamkit does, the first
    rows of the text model's own."""


@dataclass(frozen=True, kw_only=True)
class EllavOptions(SizeOptions):
    """Training of ELLA-V."""

    title: ClassVar[str] = "acoustic model"

    train_speech: Path
    """Folder of codec tokens with the names of the units, as .npy or .pt (n,), or of audio files with --codec."""
    validation_speech: Path
    """The same for the held-out utterances."""
    codec: str | None = None
    """Codec to encode audio: a file, or the zoo it is in (dp-slm, demo, or that of --registry). Its tokens are kept in
    RUN/codes, where another run can find them."""
    num_codes: int = 4096
    """Number of codes; that of --codec where it is given."""
    code_rate: float = 40.0
    """Codec tokens per second; those of --codec where it is given."""
    tolerance: float = 0.1
    """Largest difference in duration between the units and codec tokens of an utterance, seconds."""
    scheduled_sampling: float = 0.0
    """Share of past codec tokens that are the model's own in place of the recording's, so that it learns to recover
    from its mistakes (scheduled sampling in two passes: Mihaylova & Martins, ACL student workshop 2019); 0 as
    published."""
    steps: int = 10_000
    batch: int = 8
    accumulate: int = 8
    lr: float = 5e-4
    warmup: int = 1_000
    eps: float = 1e-9
    workers: int = 2
    validate_every: int | None = None
    """Steps between validations; half an epoch, as published, if left out."""
    patience: int | None = 5
