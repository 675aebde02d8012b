"""Streaming codec: encodes and decodes chunk by chunk, equal to one pass over the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from slmcore.checks import described
from slmcore.errors import must
from slmcore.layers.streaming import State

if TYPE_CHECKING:
    from soundstream.model import SoundStream

__all__ = ["Stream"]


class Stream:
    """A stream through a causal codec: its states of encoding and of decoding between chunks.

    `encode` takes chunks of any length and returns the codes of all complete frames; the remaining samples wait for the
    next chunk or for `flush`, which pads the last frame with silence as encoding the whole does. A frame is encoded as
    soon as its last sample is there (a delay of `model.hop` samples at most) and decoded at once. The state does not
    grow with time.
    """

    def __init__(self, model: SoundStream, levels: int) -> None:
        self._model, self._levels = model, levels
        self.reset()

    def reset(self) -> None:
        """Reset the state: the next chunks begin new sounds."""
        self._encoder_state, self._decoder_state = State(), State()
        self._waiting: Tensor | None = None

    @property
    def waiting(self) -> int:
        """Samples that wait for their frame to be complete, fewer than a hop."""
        return 0 if self._waiting is None else self._waiting.shape[1]

    @torch.no_grad()
    def encode(self, chunk: Tensor) -> Tensor:
        """Encode the next samples (B, n) at the model's rate, n >= 0, to codes (B, levels, frames), int64 on the CPU.

        Raises ValueError for another shape, or a chunk of another number of sounds than the one before.
        """
        self._check(chunk)
        wav = chunk.to(self._model.device, self._model.dtype)
        wav = wav if self._waiting is None else torch.cat([self._waiting, wav], 1)
        whole = wav.shape[1] - wav.shape[1] % self._model.hop
        # A copy: a view would keep every sample of the chunk alive.
        self._waiting = wav[:, whole:].clone()
        if not whole:
            return torch.zeros(len(wav), self._levels, 0, dtype=torch.int64)
        latents = self._model.analyse(wav[:, :whole], self._encoder_state)
        return self._model.quantizer.encode(latents, last=self._levels).transpose(0, 1).cpu()

    def flush(self) -> Tensor:
        """Encode the waiting samples, padded with zeros to a frame: codes (B, levels, 0 or 1). Resets the encoder."""
        if self._waiting is None:
            return torch.zeros(0, self._levels, 0, dtype=torch.int64)
        missing = -self._waiting.shape[1] % self._model.hop
        codes = self.encode(self._waiting.new_zeros(len(self._waiting), missing))
        self._encoder_state, self._waiting = State(), None
        return codes

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Decode the next codes (B, n, frames), n levels at most, to a waveform (B, frames * hop), float32.

        Raises ValueError for another shape or a code outside the codebook.
        """
        return self._model.synthesise(self._model.dequantize(codes), self._decoder_state).float()

    def _check(self, chunk: Tensor) -> None:
        batch = "B" if self._waiting is None else len(self._waiting)
        if not isinstance(chunk, Tensor) or not chunk.is_floating_point() or chunk.ndim != 2 or not len(chunk):
            raise ValueError(must("chunk", f"a float tensor ({batch}, samples)", described(chunk)))
        if self._waiting is not None and len(chunk) != len(self._waiting):
            remedy = "Use one stream for each batch."
            raise ValueError(must("chunk", f"of {batch} sounds, as before", f"a chunk of {len(chunk)}", remedy))
