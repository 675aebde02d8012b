"""The protocol of discriminators: logits and feature maps of each of their networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

__all__ = ["Discriminator", "ScaleOutput", "through"]


class ScaleOutput(NamedTuple):
    """Output of one network of a discriminator: of a period, a resolution or a scale."""

    logits: Tensor
    """Scores (B, ...), high for real audio."""
    maps: Sequence[Tensor]
    """Outputs (B, channels, ...) of the hidden layers, after their activations, first layer first; not the logits."""


class Discriminator(Protocol):
    """One or more networks that tell real from generated waveforms."""

    def __call__(self, wav: Tensor, /) -> list[ScaleOutput]:
        """Waveforms (B, samples) to the output of each network."""
        ...


def through(layers: Iterable[nn.Module], last: nn.Module, x: Tensor, slope: float) -> ScaleOutput:
    """Return logits (B, n) and maps of hidden layers followed by leaky ReLUs of a slope, and a last layer."""
    maps: list[Tensor] = []
    for layer in layers:
        x = leaky_relu(layer(x), slope)
        maps.append(x)
    return ScaleOutput(last(x).flatten(1), maps)
