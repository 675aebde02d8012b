"""Convolutions and LSTM that run on whole sequences or chunk by chunk, with the same result.

A chunk is processed with a `State`: the context that each module carries over from earlier chunks. The state belongs to
the caller, is empty at the start of a stream, and never enters the state dict. Only causal modules can be streamed.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must

__all__ = ["Chain", "Conv1d", "ConvTranspose1d", "ResidualLSTM", "State", "Stateful", "pad"]

State = dict[nn.Module, Any]
"""Entry of each stateful module after its first chunk: samples, incomplete output, or hidden vectors."""


def pad(x: Tensor, left: int, right: int, mode: str) -> Tensor:
    """Pad the last axis of x (B, C, T) by reflection, zeros ("constant") or its edge values ("replicate").

    A sequence too short to be reflected is first extended by zeros, which are cut off again afterwards.
    """
    if not left and not right:
        return x
    if mode != "reflect":
        return F.pad(x, (left, right), mode=mode)
    missing = max(0, max(left, right) - x.shape[-1] + 1)
    padded = F.pad(F.pad(x, (0, missing)), (left, right), mode="reflect")
    return padded[..., : padded.shape[-1] - missing]


class Stateful(nn.Module):
    """A module whose forward takes the state of a stream as its second argument; None runs it on a whole sequence."""


class Conv1d(nn.Conv1d, Stateful):
    """A convolution with padding such that T samples give ceil(T / stride) frames.

    Causal: all padding of the kernel is on the left; otherwise half of it, rounded down, is on the right. The last
    window is filled up on the right.
    """

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        *,
        bias: bool = True,
        causal: bool = False,
        pad_mode: str = "reflect",
    ) -> None:
        super().__init__(into, out, kernel, stride, dilation=dilation, bias=bias)
        self.causal, self.pad_mode = causal, pad_mode
        self.context = (kernel - 1) * dilation + 1 - stride

    def forward(self, input: Tensor, state: State | None = None) -> Tensor:
        """(B, into, T) to (B, out, ceil(T / stride)); in a stream T must be a multiple of the stride."""
        if state is not None:
            return super().forward(self._after_context(input, state))
        right = 0 if self.causal else self.context // 2
        fill = -input.shape[-1] % self.stride[0]
        return super().forward(pad(input, self.context - right, right + fill, self.pad_mode))

    def _after_context(self, chunk: Tensor, state: State) -> Tensor:
        _check_streamable(self, self.pad_mode)
        if chunk.shape[-1] % self.stride[0]:
            raise ValueError(must("chunk", f"a multiple of {self.stride[0]} samples long", chunk.shape[-1]))
        before = state[self] if self in state else pad(chunk, self.context, 0, self.pad_mode)[..., : self.context]
        extended = torch.cat([before, chunk], -1)
        # A copy, since a view would keep the whole chunk in memory.
        state[self] = extended[..., extended.shape[-1] - self.context :].clone()
        return extended


class ConvTranspose1d(nn.ConvTranspose1d, Stateful):
    """A transposed convolution cut to T * stride samples: at the end if causal, else at both ends (the left more)."""

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int,
        stride: int,
        *,
        groups: int = 1,
        bias: bool = True,
        causal: bool = False,
    ) -> None:
        super().__init__(into, out, kernel, stride, groups=groups, bias=bias)
        self.causal, self.overlap = causal, kernel - stride

    def forward(self, input: Tensor, state: State | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, into, T) to (B, out, T * stride)."""
        out = super().forward(input)
        samples = input.shape[-1] * self.stride[0]
        if state is not None:
            return self._completed(out, samples, state)
        right = self.overlap if self.causal else self.overlap // 2
        return out.narrow(-1, self.overlap - right, samples)

    def _completed(self, out: Tensor, samples: int, state: State) -> Tensor:
        _check_streamable(self, "constant")
        if self in state:
            head = out[..., : self.overlap] + state[self]
            out = torch.cat([head, out[..., self.overlap :]], -1)
        tail = out[..., samples:]
        state[self] = tail.clone() if self.bias is None else tail - self.bias[:, None]
        return out[..., :samples]


class ResidualLSTM(Stateful):
    """LSTM(x) + x over time; a bidirectional one adds x to the outputs of both directions."""

    def __init__(self, width: int, layers: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, bidirectional=bidirectional)
        self.causal = not bidirectional

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """(B, width, T) to (B, width, T), or (B, 2 * width, T) if bidirectional."""
        if state is None:
            out = self.lstm(x.mT)[0].mT
        else:
            _check_streamable(self, "constant")
            out, state[self] = self.lstm(x.mT, state.get(self))
            out = out.mT
        return (x if self.causal else torch.cat([x, x], 1)) + out


class Chain(nn.Sequential, Stateful):
    """Sequence of modules; the stateful ones share the state of the stream."""

    def forward(self, input: Tensor, state: State | None = None) -> Tensor:
        """The output of the last module."""
        for module in self:
            input = module(input, state) if isinstance(module, Stateful) else module(input)
        return input


def _check_streamable(module: Conv1d | ConvTranspose1d | ResidualLSTM, pad_mode: str) -> None:
    """Raise a ValueError unless the module is causal."""
    if not module.causal or pad_mode == "reflect":
        found = f"a {pad_mode}-padded, {'causal' if module.causal else 'not causal'} {type(module).__name__}"
        remedy = "Stream a model that was trained with causal=True and pad_mode='constant'."
        raise ValueError(must("module", "causal and not padded by reflection to be streamed", found, remedy))
