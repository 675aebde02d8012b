"""The generator of HiFi-GAN (Kong et al. 2020, arXiv 2010.05646, section 2.2): frames of features to a waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from slmcore.checks import whole
from slmcore.errors import must
from slmcore.layers.segments import in_segments

__all__ = ["HiFiGAN", "HiFiGANConfig"]

_SLOPE, _LAST_SLOPE = 0.1, 0.01
_EDGE_KERNEL = 7
"""Kernel of the first and the last convolution."""


@dataclass(frozen=True, kw_only=True)
class HiFiGANConfig:
    """Sizes of the generator; the defaults are those of the published unit vocoders at 50 frames per second."""

    in_channels: int
    """Features of a frame."""
    channels: int = 512
    """Channels after the first convolution; each stage halves them."""
    rates: tuple[int, ...] = (5, 4, 4, 2, 2)
    """Upsampling factors of the stages; their product is the hop."""
    kernels: tuple[int, ...] = (11, 8, 8, 4, 4)
    """Kernels of the transposed convolutions."""
    block_kernels: tuple[int, ...] = (3, 7, 11)
    """Kernels of the residual blocks that each stage averages."""
    block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    """Dilations of the layers of each block."""

    def __post_init__(self) -> None:
        for name in ("in_channels", "channels"):
            object.__setattr__(self, name, whole(name, getattr(self, name), 1))
        for name in ("rates", "kernels", "block_kernels"):
            object.__setattr__(self, name, tuple(whole(name, value, 1) for value in getattr(self, name)))
        dilations = tuple(tuple(whole("block_dilations", d, 1) for d in each) for each in self.block_dilations)
        object.__setattr__(self, "block_dilations", dilations)
        _check_stages(self)
        _check_blocks(self)

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return math.prod(self.rates)


class HiFiGAN(nn.Module):
    """Transposed convolutions that raise the rate, each followed by the mean of residual blocks of several kernels."""

    def __init__(self, config: HiFiGANConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels >> stage for stage in range(len(config.rates) + 1)]
        self.conv_pre = _conv(config.in_channels, config.channels, _EDGE_KERNEL)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(into, out, kernel, rate, (kernel - rate) // 2)
            for into, out, kernel, rate in zip(widths[:-1], widths[1:], config.kernels, config.rates, strict=True)
        )
        self.resblocks = nn.ModuleList(_Stage(width, config) for width in widths[1:])
        self.conv_post = _conv(widths[-1], 1, _EDGE_KERNEL)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features (B, in_channels, T), T >= 1, to waveforms (B, T * hop) in -1..1.

        `lengths` (B,): frames of each sequence of a right-padded batch, whose output is then independent of the
        padding; samples beyond them are meaningless. None: all are T long.
        """
        x, samples = self.conv_pre(_cut(x, lengths)), lengths
        for stage, (up, blocks) in enumerate(zip(self.ups, self.resblocks, strict=True)):
            x = up(leaky_relu(_cut(x, samples), _SLOPE))
            samples = None if samples is None else samples * self.config.rates[stage]
            x = blocks(x, samples)
        return torch.tanh(self.conv_post(leaky_relu(_cut(x, samples), _LAST_SLOPE))).squeeze(1)

    def in_segments(self, x: Tensor, frames: int) -> Tensor:
        """Return the output of `forward` without lengths, computed `frames` frames at a time."""
        return in_segments(self, x, 1, self.config.hop, frames, self.reach)

    @property
    def reach(self) -> int:
        """Return the reach of the generator: how many frames away, at most, a frame influences a sample."""
        blocks = zip(self.config.block_kernels, self.config.block_dilations, strict=True)
        of_blocks = max(sum((kernel - 1) // 2 * (d + 1) for d in dilations) for kernel, dilations in blocks)
        frames, rate = float(_EDGE_KERNEL // 2), 1
        for up, kernel in zip(self.config.rates, self.config.kernels, strict=True):
            frames += math.ceil(kernel / up) / rate
            rate *= up
            frames += of_blocks / rate
        return math.ceil(frames + _EDGE_KERNEL // 2 / rate)


class _Stage(nn.ModuleList):
    """Residual blocks of a stage, averaged."""

    def __init__(self, width: int, config: HiFiGANConfig) -> None:
        blocks = zip(config.block_kernels, config.block_dilations, strict=True)
        super().__init__(_Block(width, kernel, dilations) for kernel, dilations in blocks)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, width, T) to the same shape."""
        x = _cut(x, lengths)
        blocks = iter(self)
        total = next(blocks)(x, lengths)
        for block in blocks:
            total = total + block(x, lengths)
        return total / len(self)


class _Block(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair added to its input."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(width, width, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(width, width, kernel) for _ in dilations)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            inner = _cut(dilated(leaky_relu(x, _SLOPE)), lengths)
            x = x + _cut(plain(leaky_relu(inner, _SLOPE)), lengths)
        return x


def _conv(into: int, out: int, kernel: int, dilation: int = 1) -> nn.Conv1d:
    return nn.Conv1d(into, out, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation)


def _cut(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Zero what lies beyond the end of each sequence, as the convolutions' own padding would."""
    if lengths is None:
        return x
    return x.masked_fill((torch.arange(x.shape[-1], device=x.device) >= lengths[:, None]).unsqueeze(1), 0.0)


def _check_stages(config: HiFiGANConfig) -> None:
    if not config.rates or len(config.rates) != len(config.kernels):
        raise ValueError(must("kernels", f"as many as the {len(config.rates)} rates, at least one", config.kernels))
    for rate, kernel in zip(config.rates, config.kernels, strict=True):
        if kernel < rate or (kernel - rate) % 2:
            raise ValueError(must("kernels", f"rates {config.rates} plus even numbers", config.kernels))
    if config.channels % 2 ** len(config.rates):
        raise ValueError(must("channels", f"a multiple of {2 ** len(config.rates)}", config.channels))


def _check_blocks(config: HiFiGANConfig) -> None:
    if not config.block_kernels or not all(kernel % 2 for kernel in config.block_kernels):
        raise ValueError(must("block_kernels", "one or more odd numbers", config.block_kernels))
    if len(config.block_dilations) != len(config.block_kernels) or not all(config.block_dilations):
        needed = f"some for each of the {len(config.block_kernels)} block kernels"
        raise ValueError(must("block_dilations", needed, config.block_dilations))
