"""The parts of a Tacotron 2 (Shen et al. 2018, arXiv 1712.05884, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from gslm.tacotron.config import TacotronConfig
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.precision import widened

__all__ = ["Decoder", "DecoderState", "Encoder", "Memory", "Postnet"]


class ConvNorm(nn.Module):
    """A convolution that keeps the length, and a batch norm."""

    def __init__(self, into: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(into, out, kernel, padding=(kernel - 1) // 2)
        self.norm = nn.BatchNorm1d(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, into, T) to (B, out, T)."""
        return self.norm(self.conv(x))


class Encoder(nn.Module):
    """Symbols to the encoder states that attention is over."""

    def __init__(self, config: TacotronConfig) -> None:
        super().__init__()
        widths = [config.symbol_dim] + [config.encoder_dim] * config.encoder_convolutions
        pairs = pairwise(widths)
        self.convolutions = nn.ModuleList(ConvNorm(a, b, config.encoder_kernel) for a, b in pairs)
        self.lstm = nn.LSTM(widths[-1], config.encoder_dim // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """Embedded symbols (B, T, symbol_dim) to (B, T, encoder_dim)."""
        x = x.mT
        for layer in self.convolutions:
            x = layer(x).relu()
        return self.lstm(x.mT)[0]


@dataclass(frozen=True, eq=False)
class Memory:
    """The encoded inputs of a batch, padded on the right."""

    vectors: Tensor
    """(B, T, encoder_dim), zero where padded."""
    keys: Tensor
    """Attention keys, (B, T, attention_dim)."""
    padded: Tensor
    """bool (B, T)."""


@dataclass(eq=False)
class DecoderState:
    """Recurrent state of the decoder between frames; all zeros at first."""

    attention: tuple[Tensor, Tensor]
    """Output and cell of the attention LSTM, (B, attention_rnn_dim) each."""
    decoder: tuple[Tensor, Tensor]
    """Output and cell of the decoder LSTM, (B, decoder_rnn_dim) each."""
    context: Tensor
    """(B, encoder_dim)."""
    weights: Tensor
    """Attention weights of the last frame, and their sum over frames: (B, 2, T)."""


class Attention(nn.Module):
    """Location-sensitive attention (Chorowski et al. 2015, arXiv 1506.07503, equation 9)."""

    def __init__(self, config: TacotronConfig) -> None:
        super().__init__()
        c = config
        self.query = nn.Linear(c.attention_rnn_dim, c.attention_dim, bias=False)
        self.memory = nn.Linear(c.encoder_dim, c.attention_dim, bias=False)
        self.v = nn.Linear(c.attention_dim, 1, bias=False)
        padding = (c.location_kernel - 1) // 2
        self.location_conv = nn.Conv1d(2, c.location_filters, c.location_kernel, padding=padding, bias=False)
        self.location_dense = nn.Linear(c.location_filters, c.attention_dim, bias=False)

    def forward(self, query: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        """Weights (B, T) over the inputs, from a query (B, attention_rnn_dim) and earlier weights (B, 2, T)."""
        location = self.location_dense(self.location_conv(weights).mT)
        energies = self.v((self.query(query).unsqueeze(1) + location + memory.keys).tanh()).squeeze(-1)
        return widened(energies).masked_fill(memory.padded, -torch.inf).softmax(-1).to(energies.dtype)


class RoundedCell(nn.Module):
    """LSTM cell whose gates are one int8 product over input and state."""

    def __init__(self, cell: nn.LSTMCell, scheme: Scheme) -> None:
        super().__init__()
        width, total = cell.hidden_size, cell.input_size + cell.hidden_size
        self.gates = nn.Linear(total, 4 * width)
        with torch.no_grad():
            self.gates.weight.copy_(torch.cat([cell.weight_ih, cell.weight_hh], 1))
            self.gates.bias.copy_(cell.bias_ih + cell.bias_hh)
        quantize_linears(self, scheme)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the next output and cell, (B, width) each, of x (B, in) and the last ones."""
        output, cell = state
        entry, forget, new, exit_ = self.gates(torch.cat([x, output], -1)).chunk(4, -1)
        cell = forget.sigmoid() * cell + entry.sigmoid() * new.tanh()
        return exit_.sigmoid() * cell.tanh(), cell


class Decoder(nn.Module):
    """Autoregressive decoder of mel frames."""

    def __init__(self, config: TacotronConfig) -> None:
        super().__init__()
        self.config = c = config
        widths = (c.mels, c.prenet_dim, c.prenet_dim)
        self.prenet = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.attention_rnn = nn.LSTMCell(c.prenet_dim + c.encoder_dim, c.attention_rnn_dim)
        self.attention = Attention(config)
        self.decoder_rnn = nn.LSTMCell(c.attention_rnn_dim + c.encoder_dim + c.attributes, c.decoder_rnn_dim)
        seen = c.decoder_rnn_dim + c.encoder_dim + c.attributes
        self.projection, self.gate = nn.Linear(seen, c.mels), nn.Linear(seen, 1)

    def quantize(self, scheme: Scheme) -> None:
        """Round the weights to int8: decoding is bound by memory bandwidth."""
        for name, child in list(self.named_children()):
            if isinstance(child, nn.LSTMCell):
                setattr(self, name, RoundedCell(child, scheme))
        quantize_linears(self, scheme)

    def begin(self, memory: Memory) -> DecoderState:
        """Return the state before the first frame."""
        batch, length, _ = memory.vectors.shape
        attention, decoder, context, weights = (
            memory.vectors.new_zeros(batch, *shape)
            for shape in (
                (self.config.attention_rnn_dim,),
                (self.config.decoder_rnn_dim,),
                (self.config.encoder_dim,),
                (2, length),
            )
        )
        return DecoderState((attention, attention), (decoder, decoder), context, weights)

    def step(
        self, frame: Tensor, kept: Tensor, attributes: Tensor, state: DecoderState, memory: Memory
    ) -> tuple[Tensor, Tensor]:
        """Return the next frame (B, mels) and its gate's logit (B,) after `frame` (B, mels); `state` is updated.

        `kept` (2, B, prenet_dim): factors of the prenet's outputs, 0 where one is dropped; `attributes` (B, width).
        """
        for layer, factors in zip(self.prenet, kept, strict=True):
            frame = layer(frame).relu() * factors
        state.attention = self.attention_rnn(torch.cat([frame, state.context], -1), state.attention)
        new = self.attention(state.attention[0], state.weights, memory)
        state.context = (new.unsqueeze(1) @ memory.vectors).squeeze(1)
        state.weights = torch.stack([new, state.weights[:, 1] + new], 1)
        seen = torch.cat([state.attention[0], state.context, attributes], -1)
        state.decoder = self.decoder_rnn(seen, state.decoder)
        hidden_and_context = torch.cat([state.decoder[0], state.context, attributes], -1)
        return self.projection(hidden_and_context), self.gate(hidden_and_context).squeeze(-1)


class Postnet(nn.Module):
    """Residual correction of a spectrogram, from frames on both sides."""

    def __init__(self, config: TacotronConfig) -> None:
        super().__init__()
        widths = [config.mels] + [config.postnet_dim] * (config.postnet_convolutions - 1) + [config.mels]
        pairs = pairwise(widths)
        self.convolutions = nn.ModuleList(ConvNorm(a, b, config.postnet_kernel) for a, b in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, mels, T) to the same shape, to be added."""
        *first, last = self.convolutions
        for layer in first:
            x = layer(x).tanh()
        return last(x)
