"""SEANet: the convolutional encoder and decoder of waveform codecs (EnCodec, arXiv 2210.13438, section 3.1).

Modules are numbered as in EnCodec's implementation, so that few names of published weights differ from ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slmcore.checks import whole
from slmcore.errors import must
from slmcore.layers.segments import in_segments
from slmcore.layers.streaming import Chain, Conv1d, ConvTranspose1d, ResidualLSTM, State, Stateful

__all__ = ["ACTIVATIONS", "SEANetConfig", "SEANetDecoder", "SEANetEncoder", "Snake"]


class Snake(nn.Module):
    """x + sin(a x)^2 / a with a learned `a` for each channel (Ziyin et al. 2020, arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, T) to the same shape."""
        return x + (self.alpha * x).sin().square() / (self.alpha + 1e-9)


ACTIVATIONS = {"ELU": lambda channels: nn.ELU(), "Snake": Snake}


@dataclass(frozen=True, kw_only=True)
class SEANetConfig:
    """Sizes of an encoder and of the decoder that mirrors it."""

    strides: tuple[int, ...]
    """Downsampling factors in the encoder's order; the decoder upsamples in the reverse order. Their product is the
    hop. (Published configurations list the decoder's order.)"""
    n_filters: int
    """Channels at the waveform's rate; each stage doubles them."""
    dimension: int
    """Size of a latent vector."""
    residual_layers: int = 1
    """Residual blocks in each stage."""
    dilation_base: int = 2
    """Block j of a stage has dilation dilation_base ** j."""
    kernel: int = 7
    """Kernel of the first convolution, in samples."""
    last_kernel: int = 7
    """Kernel of the last convolution."""
    residual_kernel: int = 3
    compress: int = 2
    """A residual block narrows its channels by this factor."""
    shortcut: bool = True
    """Whether residual blocks add a 1x1 convolution of their input instead of the input itself."""
    activation: str = "ELU"
    """"ELU" or "Snake"."""
    lstm_layers: int = 2
    """Layers of the LSTM at the frame rate; 0 leaves it out."""
    bidirectional: bool = False
    """Whether the encoder's LSTM is bidirectional; the decoder's never is."""
    causal: bool = False
    """Whether a frame depends on the past alone."""
    pad_mode: str = "reflect"
    """"reflect" or "constant" (zeros); only "constant" can be streamed."""

    def __post_init__(self) -> None:
        strides = tuple(whole("strides", stride, 1, "one or more whole numbers >= 1") for stride in self.strides)
        object.__setattr__(self, "strides", strides)
        if not strides:
            raise ValueError(must("strides", "one or more whole numbers >= 1", strides))
        sizes = ("n_filters", "dimension", "dilation_base", "kernel", "last_kernel", "residual_kernel", "compress")
        for name, least in {**dict.fromkeys(sizes, 1), "residual_layers": 0, "lstm_layers": 0}.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if self.n_filters % self.compress:
            raise ValueError(must("n_filters", f"a multiple of compress ({self.compress})", self.n_filters))
        if self.activation not in ACTIVATIONS:
            raise ValueError(must("activation", f"one of {', '.join(ACTIVATIONS)}", self.activation))
        if self.pad_mode not in ("reflect", "constant"):
            raise ValueError(must("pad_mode", '"reflect" or "constant"', self.pad_mode))

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return math.prod(self.strides)

    @property
    def widest(self) -> int:
        """Channels at the frame rate."""
        return self.n_filters * 2 ** len(self.strides)

    @property
    def streamable(self) -> bool:
        """Whether streaming in chunks of whole frames equals processing the whole."""
        return self.causal and self.pad_mode == "constant" and not (self.bidirectional and self.lstm_layers)


class ResidualBlock(Stateful):
    """act, dilated conv, act, 1x1 conv, added to the input or to a 1x1 convolution of it."""

    def __init__(self, width: int, dilation: int, config: SEANetConfig) -> None:
        super().__init__()
        narrow = width // config.compress
        self.block = Chain(
            ACTIVATIONS[config.activation](width),
            _conv(config, width, narrow, config.residual_kernel, dilation=dilation),
            ACTIVATIONS[config.activation](narrow),
            _conv(config, narrow, width, 1),
        )
        self.shortcut = _conv(config, width, width, 1) if config.shortcut else Chain()

    def forward(self, x: Tensor, state: State | None = None) -> Tensor:
        """(B, width, T) to the same shape."""
        return self.shortcut(x, state) + self.block(x, state)


class SEANetEncoder(Stateful):
    """Waveform to latents: each stage divides the rate by its stride and doubles the channels."""

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Chain(*_encoder_layers(config))

    def forward(self, wav: Tensor, state: State | None = None) -> Tensor:
        """Waveforms (B, samples), samples >= 1, to latents (B, dimension, ceil(samples / hop)).

        In a stream (`state`) a chunk is a whole number of frames long.
        """
        return self.model(wav.unsqueeze(1), state)

    def in_segments(self, wav: Tensor, frames: int) -> Tensor:
        """Return the output of `forward`, with the convolutions before the LSTM applied to `frames` frames at a time.

        They take most of the memory; only one vector of `widest` per frame grows with the length.
        """
        # LSTM, activation and convolution come last.
        convs, rest = _parted(self.model, len(self.model) - (3 if self.config.lstm_layers else 0))
        return rest(in_segments(convs, wav.unsqueeze(1), self.config.hop, 1, frames))


class SEANetDecoder(Stateful):
    """Latents to waveform, the encoder's mirror image with transposed convolutions."""

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Chain(*_decoder_layers(config))

    def forward(self, latents: Tensor, state: State | None = None) -> Tensor:
        """Latents (B, dimension, T), T >= 1, to waveforms (B, T * hop)."""
        return self.model(latents, state).squeeze(1)

    def in_segments(self, latents: Tensor, frames: int) -> Tensor:
        """Return the output of `forward`, with the convolutions after the LSTM applied to `frames` frames at a time."""
        # Convolution and LSTM come first.
        head, convs = _parted(self.model, 2 if self.config.lstm_layers else 0)
        return in_segments(convs, head(latents), 1, self.config.hop, frames).squeeze(1)


def _parted(model: Chain, at: int) -> tuple[Chain, Chain]:
    layers = list(model)
    return Chain(*layers[:at]), Chain(*layers[at:])


def _encoder_layers(config: SEANetConfig) -> Iterator[nn.Module]:
    activation, width = ACTIVATIONS[config.activation], config.n_filters
    yield _conv(config, 1, width, config.kernel)
    for stride in config.strides:
        yield from _blocks(config, width)
        yield activation(width)
        yield _conv(config, width, 2 * width, 2 * stride, stride)
        width *= 2
    if config.lstm_layers:
        yield ResidualLSTM(width, config.lstm_layers, config.bidirectional)
        width *= 2 if config.bidirectional else 1
    yield activation(width)
    yield _conv(config, width, config.dimension, config.last_kernel)


def _decoder_layers(config: SEANetConfig) -> Iterator[nn.Module]:
    activation, width = ACTIVATIONS[config.activation], config.widest
    yield _conv(config, config.dimension, width, config.kernel)
    if config.lstm_layers:
        yield ResidualLSTM(width, config.lstm_layers)
    for stride in reversed(config.strides):
        yield activation(width)
        yield ConvTranspose1d(width, width // 2, 2 * stride, stride, causal=config.causal)
        width //= 2
        yield from _blocks(config, width)
    yield activation(width)
    yield _conv(config, width, 1, config.last_kernel)


def _blocks(config: SEANetConfig, width: int) -> Iterator[nn.Module]:
    for layer in range(config.residual_layers):
        yield ResidualBlock(width, config.dilation_base**layer, config)


def _conv(config: SEANetConfig, into: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> Conv1d:
    return Conv1d(into, out, kernel, stride, dilation, causal=config.causal, pad_mode=config.pad_mode)
