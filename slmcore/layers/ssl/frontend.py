"""Convolutional frontend of self-supervised encoders, with layer norm, or group norm over the utterance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.fast import switch
from slmcore.layers.fast.norms import Norm, normed
from slmcore.layers.precision import Float32, LayerNorm32

__all__ = [
    "CACHED",
    "Affine",
    "Frontend",
    "FrontendLayer",
    "GroupNormLayer",
    "convolved_by_cudnn",
    "moments",
    "strided_conv",
]

CACHED = 1 << 21
"""Elements (8 MB) that fit a processor's cache: on a CPU, longer inputs are computed in segments of about that size.

Besides staying in the cache, buffers of this size are reused by the allocator, while larger ones are mapped and cleared
anew each time. Together that is a fifth of the time of WavLM large.
"""
_EPS = 1e-5


def strided_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Conv1d without bias or padding over channels-last input: (B, T, C) -> (B, frames, out).

    Groups of `stride` rows are viewed as rows of a matrix, so that the convolution is one matrix product for each full
    stride of the kernel and one for each remaining tap. On a CPU this takes half the time of `conv1d`, a third with the
    gradient, and the norm that follows needs no transposition.
    """
    out, channels, kernel = weight.shape
    frames = (x.shape[1] - kernel) // stride + 1
    taps = weight.permute(2, 1, 0)
    if channels == 1:
        return x.squeeze(-1).unfold(1, kernel, stride) @ taps.squeeze(1)
    whole = kernel - kernel % stride
    parts = [
        x[:, at : at + frames * stride].reshape(-1, frames, stride * channels) @ taps[at : at + stride].reshape(-1, out)
        for at in range(0, whole, stride)
    ]
    parts += [x[:, at::stride][:, :frames] @ taps[at] for at in range(whole, kernel)]
    return sum(parts[1:], parts[0])


def convolved_by_cudnn(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """`strided_conv` in one pass, for half precision on a GPU: half of its time where a tap remains."""
    weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(x.transpose(1, 2)[:, :, None], weight, stride=(1, stride))[:, :, 0].transpose(1, 2)


def moments(wav: Tensor, kernel: int, stride: int, block: int = 1 << 18) -> tuple[Tensor, Tensor]:
    """Return mean (kernel,) and covariance (kernel, kernel) of the frames of a waveform (samples,), in float64.

    They determine mean and variance over time of any convolution of the waveform. `block`: frames summed at once.
    """
    # Metal has no double precision.
    exact = torch.float32 if wav.device.type == "mps" else torch.float64
    centre = wav.mean(dtype=exact)
    frames = wav.unfold(0, kernel, stride)
    total = torch.zeros(kernel, dtype=exact, device=wav.device)
    products = torch.zeros(kernel, kernel, dtype=exact, device=wav.device)
    for part in frames.split(block):
        centred = part.to(exact) - centre
        total = total + centred.sum(0)
        products = products + centred.T @ centred
    mean = total / len(frames)
    return mean + centre, products / len(frames) - torch.outer(mean, mean)


class Affine(Float32):
    """A weight and a bias for each channel, in float32: (..., channels) to the same shape and dtype."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return (x * self.weight + self.bias).to(x.dtype)


class FrontendLayer(nn.Module):
    """Strided convolution, norm over the channels, GELU: (B, T, in) -> (B, frames, channels)."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int,
        *,
        bias: bool = False,
        norm: Callable[[int], nn.Module] = LayerNorm32,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, in_channels, kernel))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        nn.init.kaiming_normal_(self.weight)
        self.norm = norm(channels)

    def norms(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
        """Return nothing: the norm is over the channels of each frame alone."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self._convolved(x)
        x = x if self.bias is None else x + self.bias
        if switch.infers(x.device) and isinstance(self.norm, LayerNorm32):
            return normed(x, Norm.of(self.norm, gelu=True))[1]
        return F.gelu(self.norm(x))

    def _convolved(self, x: Tensor) -> Tensor:
        _, inputs, kernel = self.weight.shape
        # In float32 it would round to TF32.
        if switch.infers(x.device) and x.itemsize == 2 and inputs > 1 and kernel % self.stride:
            return convolved_by_cudnn(x, self.weight, self.stride)
        return strided_conv(x, self.weight, self.stride)


class GroupNormLayer(nn.Module):
    """Strided convolution of the waveform, normalisation of each channel over the whole utterance, GELU.

    The norm needs mean and variance of every channel over an utterance. Both follow from the moments of the waveform's
    frames, so that they are known before the convolution: for the real samples of a padded batch, and for a whole
    waveform that is processed in windows. The norm is then folded into the convolution.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        nn.init.kaiming_normal_(self.weight)
        self.norm = Affine(channels)

    def norms(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
        """Return each item's convolution with its norm folded in: taps (B, kernel, channels) and bias (B, 1, channels).

        `wav` (B, samples) in float32; `lengths` (B,) without padding.
        """
        ends = [wav.shape[1]] * len(wav) if lengths is None else lengths.tolist()
        kernel = self.weight.shape[2]
        found = [moments(row[:end], kernel, self.stride) for row, end in zip(wav, ends, strict=True)]
        mean, covariance = (torch.stack(each) for each in zip(*found, strict=True))
        weight = self.weight.squeeze(1).to(mean.dtype)
        variance = torch.einsum("ck,bkl,cl->bc", weight, covariance, weight).clamp(min=0)
        scale = self.norm.weight * torch.rsqrt(variance + _EPS)
        bias = self.norm.bias - mean @ weight.T * scale
        return (scale[:, None] * weight.T).to(self.weight.dtype), bias[:, None].to(self.weight.dtype)

    def forward(self, x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        """(B, T, 1) -> (B, frames, channels), with the `norms` of the whole utterance."""
        return F.gelu(torch.baddbmm(bias, x.squeeze(-1).unfold(1, taps.shape[1], self.stride), taps))


class Frontend(nn.Sequential):
    """Stack of convolutions from samples to frames of `field` samples: (B, samples, 1) -> (B, T, channels)."""

    def __init__(
        self,
        conv_layers: Sequence[tuple[int, int, int]],
        hop: int,
        field: int,
        *,
        bias: bool = False,
        group_norm: bool = False,
    ) -> None:
        """`conv_layers`: (channels, kernel, stride) each; `group_norm`: norm of the first layer alone, over time."""
        channels, kernel, stride = conv_layers[0]
        norm = nn.Identity if group_norm else LayerNorm32
        inputs = [1, *(each for each, _, _ in conv_layers)]
        layers: list[nn.Module] = [
            FrontendLayer(i, *layer, bias=bias, norm=norm) for i, layer in zip(inputs[:-1], conv_layers, strict=True)
        ]
        if group_norm:
            layers[0] = GroupNormLayer(channels, kernel, stride)
        super().__init__(*layers)
        self.hop, self.field = hop, field
        self._elements_a_frame = channels * hop // stride

    def norms(self, wav: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the norms of whole utterances (B, samples), of `lengths` (B,) real samples each, for `forward`."""
        return self[0].norms(wav, lengths)  # pyright: ignore[reportCallIssue]

    def forward(self, input: Tensor, norms: tuple[Tensor, ...] = ()) -> Tensor:
        """Run the layers, on a CPU in segments whose first layer fits the cache, with the same frames as the whole.

        `norms`: the result of the method of that name for the utterances.
        """
        if input.is_cuda:
            return self._run(input, norms)
        step = max(1, CACHED // self._elements_a_frame) * self.hop
        overlap = self.field - self.hop
        starts = range(0, input.shape[1] - self.field + 1, step)
        rows = []
        for index, row in enumerate(input.split(1)):
            own = tuple(each[index : index + 1] for each in norms)
            rows.append(torch.cat([self._run(row[:, at : at + step + overlap], own) for at in starts], dim=1))
        return torch.cat(rows)

    def _run(self, x: Tensor, norms: tuple[Tensor, ...]) -> Tensor:
        first, *others = self
        x = first(x, *norms)
        for layer in others:
            x = layer(x)
        return x
