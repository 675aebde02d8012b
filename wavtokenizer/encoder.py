"""SEANet encoder: waveform to latents, as in EnCodec (arXiv 2210.13438), not causal."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Encoder"]

_KERNEL, _RESIDUAL_KERNEL, _COMPRESS, _LSTM_LAYERS = 7, 3, 2, 2


class Encoder(nn.Module):
    """Convolutions that halve nothing but time: each stage divides the rate by its stride and doubles the channels.

    `strides` stand in the order in which they are applied (the published configurations list them in reverse).
    """

    def __init__(self, strides: Sequence[int], n_filters: int, dimension: int) -> None:
        super().__init__()
        widths = [n_filters * 2**i for i in range(len(strides) + 1)]
        self.stem = _Conv(1, n_filters, _KERNEL)
        self.stages = nn.ModuleList(_Stage(width, stride) for width, stride in zip(widths, strides, strict=False))
        self.lstm = nn.LSTM(widths[-1], widths[-1], _LSTM_LAYERS, batch_first=True)
        self.out = _Conv(widths[-1], dimension, _KERNEL)

    def forward(self, wav: Tensor) -> Tensor:
        """Waveforms (B, samples), samples >= 1, to latents (B, dimension, ceil(samples / hop))."""
        x = self.stem(wav.unsqueeze(1))
        for stage in self.stages:
            x = stage(x)
        x = x + self.lstm(x.mT)[0].mT
        return self.out(F.elu(x))


class _Stage(nn.Module):
    """A residual block, then a convolution of kernel 2 x stride."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.narrow = _Conv(width, width // _COMPRESS, _RESIDUAL_KERNEL)
        self.widen = _Conv(width // _COMPRESS, width, 1)
        self.shortcut = _Conv(width, width, 1)
        self.down = _Conv(width, 2 * width, 2 * stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.widen(F.elu(self.narrow(F.elu(x))))
        return self.down(F.elu(self.shortcut(x) + residual))


class _Conv(nn.Conv1d):
    """A convolution whose input is mirrored at both ends so that it gives ceil(T / stride) frames."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding = kernel - stride
        right = padding // 2
        extra = -input.shape[-1] % stride
        return super().forward(_mirror(input, padding - right, right + extra))


def _mirror(x: Tensor, left: int, right: int) -> Tensor:
    """Reflect both ends; a sequence too short to be reflected is first extended by zeros, which are cut off again."""
    if not left and not right:
        return x
    missing = max(0, max(left, right) - x.shape[-1] + 1)
    padded = F.pad(F.pad(x, (0, missing)), (left, right), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]
