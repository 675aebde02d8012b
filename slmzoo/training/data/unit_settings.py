"""Settings of training on units: data, operating point, and sizes of the transformer."""

from __future__ import annotations

from dataclasses import dataclass

from slmcore.errors import must
from slmcore.layers.transformer import TransformerConfig
from slmcore.units import OperatingPoint
from slmzoo.training.data.unit_files import UnitSource, operating_point
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.options.units import SizeOptions, UnitOptions

__all__ = ["UnitDataSettings", "UnitSettings"]


@dataclass(frozen=True, kw_only=True)
class UnitDataSettings(UnitOptions, TrainSettings):
    """Checked settings of training on units."""

    def units_per_second(self) -> float:
        """Return the frame rate of the units. Raises a ValueError if the two folders or the option disagree."""
        rates = {UnitSource(path).frame_rate(self.frame_rate) for path in (self.train, self.validation)}
        if len(rates) > 1:
            raise ValueError(must("validation", "of the frame rate of train", sorted(rates)))
        return rates.pop()

    def point(self) -> OperatingPoint:
        """Return the operating point of the units, from the options and the shards."""
        names = ("k", "lmbda", "num_neighbors", "encoder", "layer")
        asked = {name: getattr(self, name) for name in names}
        stored = [UnitSource(path).provenance().get("operating_point") for path in (self.train, self.validation)]
        points = [operating_point(self.zoo, text, **asked) for text in stored]
        points[0].check_compatible(points[1], "The training units and those held out")
        return points[0]


@dataclass(frozen=True, kw_only=True)
class UnitSettings(SizeOptions, UnitDataSettings):
    """Checked settings of training a transformer on units."""

    def transformer(self, vocab_size: int, output_bias: bool) -> TransformerConfig:
        """Return the config of the transformer."""
        sizes = ("dim", "n_layers", "head_dim", "hidden_dim", "n_heads", "n_kv_heads", "dropout")
        asked = {name: getattr(self, name) for name in sizes}
        return TransformerConfig(vocab_size=vocab_size, output_bias=output_bias, **asked)
