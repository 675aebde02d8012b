"""The parts of a flow of WaveGlow (Prenger et al. 2018, arXiv 1811.00002, section 2.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gslm.waveglow.config import WaveGlowConfig
from slmcore.layers.precision import Float32

__all__ = ["Coupling", "Mixing"]


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
        """Half the channels (1, half, T) and the spectrogram (1, mels * group, T) to two tensors (1, half, T)."""
        x = self.start(x)
        skipped = torch.zeros_like(x)
        for index, (layer, onward) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            tanh, sigmoid = (layer(x) + self._conditioning(condition, index)).chunk(2, 1)
            made = onward(tanh.tanh() * sigmoid.sigmoid())
            if made.shape[1] > self.width:
                x = x + made[:, : self.width]
            skipped = skipped + made[:, -self.width :]
        shift, log_scale = self.end(skipped).chunk(2, 1)
        return shift, log_scale

    def _conditioning(self, condition: Tensor, index: int) -> Tensor:
        """One layer's part alone: that of all layers at once would be as large as a hundred signals."""
        part = slice(2 * self.width * index, 2 * self.width * (index + 1))
        bias = self.cond_layer.bias
        return F.conv1d(condition, self.cond_layer.weight[part], None if bias is None else bias[part])


class Mixing(Float32):
    """The invertible matrix that mixes the channels of a flow in training; float32 in half precision too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(width))

    def forward(self, x: Tensor) -> Tensor:
        """Undo the mixing of (1, width, T), as speech is made."""
        return torch.linalg.inv(self.weight) @ x
