"""The two decoders of USLM: autoregressive for the first level, non-autoregressive for each further level.

Sequences are text followed by audio, without a gap and padded on the right; text and audio each count their positions
from 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmcore.layers.cache import KVCache
from speechtokenizer.uslm.config import USLMConfig
from speechtokenizer.uslm.layers import Stack, sinusoid

__all__ = ["Autoregressive", "NonAutoregressive", "Spoken"]


class Autoregressive(nn.Module):
    """Text and codes of the first level to logits of the next code."""

    def __init__(self, config: USLMConfig) -> None:
        super().__init__()
        self.heads, self.audio_size = config.heads, config.codebook_size + 1 + config.prepend_bos
        self.text = nn.Embedding(config.text_size, config.dim)
        self.audio = nn.Embedding(self.audio_size, config.dim)
        self.text_scale = nn.Parameter(torch.ones(1))
        self.audio_scale = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(config.dropout)
        self.stack = Stack(config.dim, config.heads, config.layers, config.norm_first, dropout=config.dropout)
        self.output = nn.Linear(config.dim, config.codebook_size + 1, bias=False)

    def ids(self, text: Tensor, audio: Tensor) -> Tensor:
        """Return one sequence (n + m,) of text ids (n,) and codes (m,), text ids offset by the number of codes."""
        return torch.cat([text + self.audio_size, audio])

    def hidden(
        self,
        ids: Tensor,
        text_lengths: Tensor,
        positions: Tensor | None = None,
        cache: KVCache | None = None,
        limit: int | None = None,
    ) -> Tensor:
        """Return (B, T, dim) of ids (B, T), the first `text_lengths` (B, 1) or (1, 1) of them text.

        Text attends to all text, audio to all text and to the audio up to itself. `positions` (B, T) count from the
        beginning of the sequence; with a `cache` the ids are written to it, no position being >= `limit`.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
        is_text = positions < text_lengths
        x = self._embedded(ids, is_text, positions - torch.where(is_text, 0, text_lengths))
        last = torch.where(is_text, text_lengths - 1, positions)
        slots = None if cache is None else cache.at(positions, limit or cache.capacity)
        keys = torch.arange(ids.shape[1] if cache is None else limit or cache.capacity, device=ids.device)
        return self.stack(x, keys <= last[:, None, :, None], slots=slots)

    def cache(self, batch: int, capacity: int) -> KVCache:
        """Return an empty cache for `batch` sequences of up to `capacity` positions."""
        weight = self.output.weight
        head_dim = weight.shape[1] // self.heads
        layers = len(self.stack.layers)
        return KVCache.empty(layers, batch, self.heads, capacity, head_dim, weight.device, weight.dtype)

    def _embedded(self, ids: Tensor, is_text: Tensor, positions: Tensor) -> Tensor:
        text = self.text((ids - self.audio_size).clamp(min=0))
        audio = self.audio(ids.clamp(max=self.audio_size - 1))
        x = torch.where(is_text.unsqueeze(-1), text, audio)
        scale = torch.where(is_text, self.text_scale, self.audio_scale).unsqueeze(-1)
        return self.dropout(x + scale * sinusoid(positions, x.shape[-1]).to(x.dtype))


class Spoken:
    """The autoregressive decoder for texts of one length, with the interface of `slmcore.layers.decoding`."""

    def __init__(self, decoder: Autoregressive, text_length: int) -> None:
        self.cache, self.output = decoder.cache, decoder.output
        self.modules, self.parameters = decoder.modules, decoder.parameters
        self._decoder = decoder
        self._lengths = torch.tensor([[text_length]], device=decoder.output.weight.device)

    def hidden(self, ids: Tensor, positions: Tensor, cache: KVCache, limit: int) -> Tensor:
        """Return (B, T, dim) of ids (B, T) at `positions` (B, T)."""
        return self._decoder.hidden(ids, self._lengths, positions, cache, limit)


class NonAutoregressive(nn.Module):
    """Text and codes of the levels before it to logits of a level, for all frames at once."""

    def __init__(self, config: USLMConfig) -> None:
        super().__init__()
        levels, size, dim = config.num_codebooks, config.codebook_size, config.nar_dim
        self.text = nn.Embedding(config.text_size, dim)
        # The first level alone has an end, which fills up its padding in training.
        self.audio = nn.ModuleList(nn.Embedding(size + (level == 0), dim) for level in range(levels))
        self.text_scale = nn.Parameter(torch.ones(1))
        self.audio_scale = nn.Parameter(torch.ones(1))
        self.levels = nn.Parameter(torch.randn(levels - 1, dim))
        self.dropout = nn.Dropout(config.dropout)
        self.stack = Stack(dim, config.nar_heads, config.nar_layers, config.norm_first, True, config.dropout)
        self.outputs = nn.ModuleList(nn.Linear(dim, size, bias=False) for _ in range(levels - 1))
        self.shared = config.share_embedding
        self.tie()

    def tie(self) -> None:
        """Make the embeddings of levels 2.. the outputs of those levels, if they are shared."""
        if self.shared:
            for embedding, output in zip(self.audio[2:], self.outputs, strict=False):
                embedding.weight = output.weight

    def embedded(self, codes: Tensor, levels: range) -> Tensor:
        """Return the sum (B, T, dim) of the embeddings of `levels` of codes (num_codebooks, B, T)."""
        return torch.stack([self.audio[level](codes[level]) for level in levels]).sum(0)

    def forward(self, text: Tensor, audio: Tensor, level: int, keys: Tensor | None = None) -> Tensor:
        """Return logits (B, T, codebook_size) of `level` >= 1 for texts (B, N) and embedded audio (B, T, dim).

        `keys` (B, N + T) bool is False where texts or audio are padding; None if there is none.
        """
        placed = self.dropout(_placed(audio, self.audio_scale))
        x = torch.cat([_placed(self.text(text), self.text_scale), placed], 1)
        mask = None if keys is None else keys[:, None, None]
        hidden = self.stack(x, mask, self.levels[level - 1])
        return self.outputs[level - 1](hidden[:, text.shape[1] :])


def _placed(x: Tensor, scale: Tensor) -> Tensor:
    return x + scale * sinusoid(torch.arange(x.shape[1], device=x.device), x.shape[-1]).to(x.dtype)
