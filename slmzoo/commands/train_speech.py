"""`slmzoo train encoder`, `codebook` and `codec`: models that learn from speech alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from slmzoo.commands.training import tell
from slmzoo.training.tasks import codebook, codec, encoder

__all__ = ["TrainCodebook", "TrainCodec", "TrainEncoder"]


@dataclass(frozen=True, kw_only=True)
class TrainCodebook:
    """A line on standard output, for each k, holds: zoo, encoder, layer, k, lmbda, num_neighbors."""

    settings: codebook.CodebookSettings

    def run(self) -> int:
        """Make the codebooks."""
        tell(*map(asdict, codebook.train(self.settings)))
        return 0


@dataclass(frozen=True, kw_only=True)
class TrainCodec:
    """The line on standard output holds: zoo, kind, step, and of the held-out recordings mel and stft."""

    settings: codec.CodecSettings

    def run(self) -> int:
        """Train it."""
        tell(codec.train(self.settings))
        return 0


@dataclass(frozen=True, kw_only=True)
class TrainEncoder:
    """The line on standard output holds: zoo, kind, encoder, and of held-out recordings step, masked, unmasked, hit."""

    settings: encoder.EncoderSettings

    def run(self) -> int:
        """Train it."""
        tell(encoder.train(self.settings))
        return 0
