"""Decoder from code vectors to a waveform: Vocos backbone (arXiv 2306.00814) after attention, and inverse STFT head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.layers.precision import widened
from wavtokenizer.norms import GroupNorm, LayerNorm, masked

__all__ = ["Decoder", "inverse_stft"]

_KERNEL = 7
_LARGEST_MAGNITUDE = 100.0


class Decoder(nn.Module):
    """Code vectors to waveform, `hop` samples per frame.

    Frames beyond the end of a sequence, where `mask` is False, do not influence the others: they are zero for every
    convolution, as at the edge, and excluded from norms and attention.
    """

    def __init__(self, dimension: int, dim: int, intermediate: int, num_layers: int, n_fft: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        self.embed = nn.Conv1d(dimension, dim, _KERNEL, padding=_KERNEL // 2)
        self.context = Context(dim)
        self.norm = LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, intermediate, 1 / num_layers) for _ in range(num_layers))
        self.final_norm = LayerNorm(dim)
        self.out = nn.Linear(dim, n_fft + 2)

    def forward(self, vectors: Tensor, mask: Tensor | None = None) -> Tensor:
        """Vectors (B, dimension, T), T >= 1, to waveforms (B, T * hop) in float32; `mask` (B, 1, T) bool."""
        x = self.context(self.embed(masked(vectors, mask)), mask)
        x = self.norm(x.mT).mT
        for block in self.blocks:
            x = block(x, mask)
        log_magnitude, phase = widened(self.out(self.final_norm(x.mT))).mT.chunk(2, dim=1)
        spectrum = torch.polar(log_magnitude.exp().clamp(max=_LARGEST_MAGNITUDE), phase)
        return inverse_stft(spectrum, self.hop, mask)


class Context(nn.Module):
    """Two residual blocks, global attention, two residual blocks, and a norm."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(ResidualBlock(dim) for _ in range(2))
        self.attention = Attention(dim)
        self.after = nn.ModuleList(ResidualBlock(dim) for _ in range(2))
        self.norm = GroupNorm(dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, dim, T) -> (B, dim, T)."""
        for block in (*self.before, self.attention, *self.after):
            x = block(x, mask)
        return self.norm(x, mask)


class ResidualBlock(nn.Module):
    """x + conv(swish(norm(conv(swish(norm(x))))))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(dim), nn.Conv1d(dim, dim, 3, padding=1)
        self.norm2, self.conv2 = GroupNorm(dim), nn.Conv1d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, dim, T) -> (B, dim, T)."""
        hidden = self.conv1(masked(F.silu(self.norm1(x, mask)), mask))
        return x + self.conv2(masked(F.silu(self.norm2(hidden, mask)), mask))


class Attention(nn.Module):
    """One head over all frames; memory grows with the square of their number."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = GroupNorm(dim)
        self.query, self.key, self.value, self.out = (nn.Conv1d(dim, dim, 1) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, dim, T) -> (B, dim, T)."""
        normed = self.norm(x, mask)
        query, key, value = (conv(normed).mT.unsqueeze(1) for conv in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(query, key, value, None if mask is None else mask.unsqueeze(1))
        return x + self.out(attended.squeeze(1).mT)


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, then a pointwise perceptron, scaled for each channel (arXiv 2201.03545)."""

    def __init__(self, dim: int, intermediate: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, _KERNEL, padding=_KERNEL // 2, groups=dim)
        self.norm = LayerNorm(dim)
        self.up = nn.Linear(dim, intermediate)
        self.down = nn.Linear(intermediate, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, dim, T) -> (B, dim, T)."""
        hidden = self.norm(self.depthwise(masked(x, mask)).mT)
        return x + (self.scale * self.down(F.gelu(self.up(hidden)))).mT


def inverse_stft(spectrum: Tensor, hop: int, mask: Tensor | None = None) -> Tensor:
    """Invert complex spectra (B, n_fft / 2 + 1, T) to waveforms (B, T * hop), Hann window, "same" padding.

    Overlapping frames are added and divided by the sum of the squared windows; (n_fft - hop) / 2 samples are cut off at
    both ends. Frames where `mask` (B, 1, T) is False contribute nothing; samples of such frames alone are zero.
    """
    frames = torch.fft.irfft(spectrum, dim=1)
    n_fft = frames.shape[1]
    window = torch.hann_window(n_fft, dtype=frames.dtype, device=frames.device).unsqueeze(-1)
    here = torch.ones_like(frames[:1, :1]) if mask is None else mask.to(frames.dtype)
    wav = _overlap_add(frames * window * here, hop)
    envelope = _overlap_add(window.square() * here, hop)
    cut = (n_fft - hop) // 2
    wav, envelope = wav[:, cut : cut + spectrum.shape[-1] * hop], envelope[:, cut : cut + spectrum.shape[-1] * hop]
    # Between the first and last frame's centres the envelope is far above zero; only padding can make it zero.
    return wav / torch.where(envelope > 0, envelope, 1)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Overlap-add frames (B, width, T) to (B, (T - 1) * hop + width)."""
    width, count = frames.shape[1:]
    size, kernel = (1, (count - 1) * hop + width), (1, width)
    return F.fold(frames, size, kernel, stride=(1, hop)).flatten(1)
