"""The parts of a flow of WaveGlow (Prenger et al. 2018, arXiv 1811.00002, section 2.1)."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gslm.waveglow.config import WaveGlowConfig
from slmcore.layers.precision import Float32

__all__ = ["Coupling", "Mixing"]

_ROWS = 1024
"""Frames that are computed at once on a CPU, so that a layer's output stays in the cache."""


class Coupling(nn.Module):
    """Shift and log-scale of one half of the channels, by gated dilated convolutions over the other half."""

    def __init__(self, config: WaveGlowConfig, half: int) -> None:
        super().__init__()
        c = config
        self.width = c.channels
        self.start = nn.Conv1d(half, c.channels, 1)
        self.cond_layer = nn.Conv1d(c.mels * c.group, 2 * c.channels * c.layers, 1)
        self.in_layers = nn.ModuleList(
            nn.Conv1d(c.channels, 2 * c.channels, c.kernel, dilation=2**i, padding=2**i * (c.kernel - 1) // 2)
            for i in range(c.layers)
        )
        widths = [2 * c.channels] * (c.layers - 1) + [c.channels]
        self.res_skip_layers = nn.ModuleList(nn.Conv1d(c.channels, width, 1) for width in widths)
        self.end = nn.Conv1d(c.channels, 2 * half, 1)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Half the channels (T, half) and the spectrogram (T, mels * group) to two tensors (T, half)."""
        x = _pointwise(self.start, x)
        skipped = torch.zeros_like(x)
        for index in range(len(self.in_layers)):
            x = self._layer(x, condition, skipped, index)
        shift, log_scale = _pointwise(self.end, skipped).chunk(2, 1)
        return shift, log_scale

    def _layer(self, x: Tensor, condition: Tensor, skipped: Tensor, index: int) -> Tensor:
        """Signal (T, channels) after one layer, which adds its skip connection to `skipped`.

        One product for each tap of the convolution takes half the time of `conv1d` in half precision, which is set
        up again for each length. The conditioning is computed layer by layer, since that of all layers together is as
        large as a hundred signals.
        """
        layer: Any = self.in_layers[index]
        padded = F.pad(x, (0, 0, layer.padding[0], layer.padding[0]))
        taps = list(enumerate(layer.weight.permute(2, 0, 1).contiguous()))
        part = slice(2 * self.width * index, 2 * self.width * (index + 1))
        weight, bias = self.cond_layer.weight.squeeze(-1)[part], cast("Tensor", self.cond_layer.bias)[part] + layer.bias
        found: list[Tensor] = []
        rows = _ROWS if x.device.type == "cpu" else len(x)
        for seen, signal, skip, start in zip(*(each.split(rows) for each in (condition, x, skipped)), count(0, rows)):
            gates = F.linear(seen, weight, bias)
            for tap, matrix in taps:
                gates.addmm_(padded[start + tap * layer.dilation[0] :][: len(gates)], matrix.T)
            tanh, sigmoid = gates.chunk(2, 1)
            made = _pointwise(self.res_skip_layers[index], tanh.tanh() * sigmoid.sigmoid())
            skip.add_(made[:, -self.width :])
            found.append(signal + made[:, : self.width])
        return torch.cat(found)


def _pointwise(layer: Any, x: Tensor) -> Tensor:
    """Convolution of kernel 1 over the rows of a matrix: (T, in) to (T, out)."""
    return F.linear(x, layer.weight.squeeze(-1), layer.bias)


class Mixing(Float32):
    """The invertible matrix that mixes the channels of a flow in training; float32 in half precision too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width))

    def forward(self, x: Tensor) -> Tensor:
        """Undo the mixing of (T, width), for synthesis."""
        return x @ torch.linalg.inv(self.weight).T
