"""What training on units takes beside the rest: the units, how they were made, the sizes of the transformer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slmcore.errors import must
from slmcore.layers.transformer import TransformerConfig
from slmcore.units import OperatingPoint
from slmzoo.training.data.unit_files import UnitSource, operating_point
from slmzoo.training.loop.settings import TrainSettings

__all__ = ["UnitSettings"]


@dataclass(frozen=True, kw_only=True)
class UnitSettings(TrainSettings):
    """What training on units takes: where they are, how they were made, and the sizes of the transformer."""

    train: Path
    """Units to learn from: a folder of shards, or **/<chapter>/*.npy (or .txt, "u74 u74 u123") of framewise units."""
    validation: Path
    """Units held out, of the same form."""
    k: int | None = None
    """Number of units; the shards say it, of files it must be told."""
    lmbda: float | None = None
    """Weight of the duration penalty that the units were made with; as for k."""
    num_neighbors: int | None = None
    """How many of its nearest codes a frame could take."""
    encoder: str | None = None
    """Name of the encoder."""
    layer: int | None = None
    """Encoder block, 1-based."""
    frame_rate: float | None = None
    """Frames of the units a second; what the shards say, else 50."""
    dim: int = 1024
    """Width of the transformer."""
    n_layers: int = 12
    """Layers of the transformer."""
    head_dim: int = 64
    """Width of a head; even."""
    hidden_dim: int = 4096
    """Width of the feed-forward layers."""
    n_heads: int = 16
    """Heads of a layer."""
    n_kv_heads: int = 16
    """Heads of keys and values; divides n_heads."""
    dropout: float = 0.0
    """Share of activations dropped in training."""

    def units_a_second(self) -> float:
        """Frames of the units a second. A ValueError if the two folders or the option disagree."""
        rates = {UnitSource(path).frame_rate(self.frame_rate) for path in (self.train, self.validation)}
        if len(rates) > 1:
            raise ValueError(must("validation", "of the frame rate of train", sorted(rates)))
        return rates.pop()

    def transformer(self, vocab_size: int, output_bias: bool) -> TransformerConfig:
        """The sizes asked for."""
        sizes = ("dim", "n_layers", "head_dim", "hidden_dim", "n_heads", "n_kv_heads", "dropout")
        asked = {name: getattr(self, name) for name in sizes}
        return TransformerConfig(vocab_size=vocab_size, output_bias=output_bias, **asked)

    def point(self) -> OperatingPoint:
        """Where the units lie, as the options and the shards say."""
        names = ("k", "lmbda", "num_neighbors", "encoder", "layer")
        asked = {name: getattr(self, name) for name in names}
        told = [UnitSource(path).provenance().get("operating_point") for path in (self.train, self.validation)]
        points = [operating_point(self.zoo, each, **asked) for each in told]
        points[0].check_compatible(points[1], "The units to learn from and those held out")
        return points[0]
