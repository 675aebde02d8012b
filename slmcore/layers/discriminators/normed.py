"""Convolutions under weight and spectral norm, with the parameter names of published checkpoints.

Weight norm: Salimans and Kingma, arXiv 1602.07868. Spectral norm: Miyato et al., arXiv 1802.05957. Norms are computed
in float32 under autocast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["SpectralNormed", "WeightNormed"]

_FIRST_ITERATIONS = 15
"""Power iterations before the first call; from random vectors, the first weights would be far too large."""


class _Normed(nn.Module, ABC):
    """Convolution whose weight is computed from its parameters."""

    bias: Tensor | None

    def __init__(self, conv: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self.bias = conv.bias
        self._convolve: Any = torch.conv1d if isinstance(conv, nn.Conv1d) else torch.conv2d
        self._placed = conv.stride, conv.padding, conv.dilation, conv.groups

    @abstractmethod
    def weight(self) -> Tensor:
        """Weight of the convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) to the convolution's output."""
        with torch.autocast(x.device.type, enabled=False):
            weight = self.weight()
        return self._convolve(x, weight, self.bias, *self._placed)


class WeightNormed(_Normed):
    """Convolution with weight `weight_g * weight_v / ||weight_v||`, the norm over all axes but the first."""

    def __init__(self, conv: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__(conv)
        self.weight_g = nn.Parameter(torch.norm_except_dim(conv.weight.detach()))
        self.weight_v = conv.weight

    def weight(self) -> Tensor:
        """Weight of the convolution."""
        return torch._weight_norm(self.weight_v, self.weight_g)  # pyright: ignore[reportPrivateImportUsage]


class SpectralNormed(_Normed):
    """Convolution with weight `weight_orig` over its largest singular value.

    The value is estimated with `weight_u` and `weight_v`, which in training take one power iteration at each call.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, conv: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__(conv)
        self.weight_orig = conv.weight
        rows = conv.weight.detach().flatten(1)
        self.register_buffer("weight_u", normalize(torch.randn(rows.shape[0]), dim=0))
        self.register_buffer("weight_v", normalize(torch.randn(rows.shape[1]), dim=0))
        for _ in range(_FIRST_ITERATIONS):
            self._iterate(rows)

    def weight(self) -> Tensor:
        """Weight of the convolution, after a power iteration in training mode."""
        rows = self.weight_orig.flatten(1)
        if self.training:
            self._iterate(rows.detach())
        # Copies: the next iteration changes the vectors before the gradient is computed.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / u.dot(rows.mv(v))

    @torch.no_grad()
    def _iterate(self, rows: Tensor) -> None:
        self.weight_v.copy_(normalize(rows.mT.mv(self.weight_u), dim=0))
        self.weight_u.copy_(normalize(rows.mv(self.weight_v), dim=0))
