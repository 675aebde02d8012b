"""Tacotron 2: units to a mel spectrogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from gslm.tacotron.codes import CodeTable
from gslm.tacotron.config import TacotronConfig
from gslm.tacotron.layers import Decoder, Encoder, Memory, Postnet
from gslm.tacotron.prenet import DrawnDropout, PrenetDropout
from gslm.tacotron.published import published
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.content import is_safetensors
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.int8 import Scheme
from slmcore.threads import for_products
from slmcore.units import OperatingPoint

__all__ = ["Spectrogram", "Tacotron", "load", "read_published"]

_MOST_AT_ONCE = 16
_LOOK_EVERY = 16
"""Frames between two checks for the end, on devices where a check synchronises with the host."""


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """A mel spectrogram synthesised from units, on the model's device."""

    mel: Tensor
    """Natural logarithms of magnitudes, (mels, frames)."""
    raw: Tensor
    """The spectrogram before the postnet."""
    gate: Tensor
    """Logit of the end at each frame, (frames,)."""
    alignment: Tensor
    """Attention weights over the inputs, (frames, inputs)."""
    finished: bool
    """Whether the gate ended it, and not the limit on frames."""


class Tacotron(Saved):
    """Tacotron 2 over units (arXiv 2102.01192, section 3.4), with the table of its input ids."""

    kind = "gslm_tacotron"
    entry_point = "gslm_tacotron"

    def __init__(self, config: TacotronConfig, codes: CodeTable, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        if codes.rows != config.symbols:
            raise CheckpointError(must("codes", f"a table for {config.symbols} rows", codes.rows))
        self.config, self.codes, self.operating_point = config, codes, operating_point
        self.embedding = nn.Embedding(config.symbols, config.symbol_dim)
        if config.observed_dim:
            self.observed = nn.Embedding(config.observed_classes, config.observed_dim)
        self.encoder, self.decoder, self.postnet = Encoder(config), Decoder(config), Postnet(config)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Tacotron:
        """Build the model of a checkpoint of kind "gslm_tacotron"; a CheckpointError if it does not fit."""
        config, codes = TacotronConfig.from_dict(checkpoint.config), CodeTable.from_dict(checkpoint.tokenizer)
        return build(lambda: cls(config, codes, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path, code_dict: str | Path | None = None) -> Tacotron:
        """Load a published or saved model; see `load`."""
        return load(path, code_dict)

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """Return config, table and weights, to be written with `slmcore.files.checkpoint.save`."""
        return replace(super().checkpoint(provenance), tokenizer=self.codes.to_dict())

    @property
    def k(self) -> int:
        """Number of units."""
        return self.codes.k

    def quantize(self, scheme: Scheme) -> None:
        """Round the decoder's weights to int8, for CPUs."""
        self.decoder.quantize(scheme)

    def forward(
        self,
        ids: Sequence[Tensor],
        *,
        seed: int = 0,
        max_frames: int | None = None,
        dropout: PrenetDropout | None = None,
    ) -> list[Spectrogram]:
        """Return the spectrogram of each sequence of input ids (n_i,), n_i >= 1, independent of the rest of the batch.

        `dropout` of the prenet is drawn from `seed` where it is not given. `max_frames` None is the model's own limit.
        """
        limit = self.config.max_frames if max_frames is None else max_frames
        made: list[Spectrogram] = []
        with torch.no_grad():
            for first in range(0, len(ids), _MOST_AT_ONCE):
                batch = ids[first : first + _MOST_AT_ONCE]
                numbers = torch.arange(first, first + len(batch), device=self.device)
                drawn = DrawnDropout(seed, numbers, self.config.prenet_dim) if dropout is None else dropout
                made += self._batch(batch, drawn, limit)
        return made

    def _batch(self, ids: Sequence[Tensor], dropout: PrenetDropout, limit: int) -> list[Spectrogram]:
        memory = self._memory(ids)
        c = self.config
        weights = 4 * c.attention_rnn_dim * (c.prenet_dim + c.encoder_dim)
        with for_products(self.device, len(ids), weights):
            mels, gates, weights, lengths = self._decoded(memory, dropout, limit)
        rows = zip(ids, mels, gates, weights, lengths.tolist(), strict=True)
        return [self._finished(mel[:n], gate[:n], align[:n, : len(x)], n) for x, mel, gate, align, n in rows]

    def _memory(self, ids: Sequence[Tensor]) -> Memory:
        """Encode sequences one by one: padding would change the output of the convolutions and the LSTM."""
        encoded = [self.encoder(self.embedding(each.to(self.device)[None]))[0] for each in ids]
        lengths = torch.tensor([len(each) for each in ids], device=self.device)
        vectors = pad_sequence(encoded, batch_first=True)
        padded = torch.arange(vectors.shape[1], device=self.device) >= lengths[:, None]
        return Memory(vectors, self.decoder.attention.memory(vectors), padded)

    def _attributes(self, like: Tensor) -> Tensor:
        """Return the decoder's attributes (B, width): label 0, and the mean of the latent attributes."""
        latent = like.new_zeros(len(like), self.config.latent_dim)
        if not self.config.observed_dim:
            return latent
        return torch.cat([self.observed.weight[:1].expand(len(like), -1), latent], -1)

    def _decoded(self, memory: Memory, dropout: PrenetDropout, limit: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return frames (B, T, mels), gates (B, T), weights (B, T, inputs), and the number of frames of each row."""
        state, vectors = self.decoder.begin(memory), memory.vectors
        attributes, frame = self._attributes(vectors), vectors.new_zeros(len(vectors), self.config.mels)
        lengths = torch.full((len(vectors),), limit, device=vectors.device)
        frames: list[Tensor] = []
        gates: list[Tensor] = []
        weights: list[Tensor] = []
        every = 1 if vectors.device.type == "cpu" else _LOOK_EVERY
        for step in range(limit):
            frame, gate = self.decoder.step(frame, dropout(step).to(frame.dtype), attributes, state, memory)
            for kept, new in ((frames, frame), (gates, gate), (weights, state.weights[:, 0])):
                kept.append(new)
            ended = gate.float().sigmoid() > self.config.gate_threshold
            lengths = torch.where(ended, lengths.clamp(max=step + 1), lengths)
            if (step + 1) % every == 0 and bool((lengths <= step + 1).all()):
                break
        return torch.stack(frames, 1), torch.stack(gates, 1), torch.stack(weights, 1), lengths

    def _finished(self, frames: Tensor, gate: Tensor, alignment: Tensor, length: int) -> Spectrogram:
        raw = frames.T
        mel = raw + self.postnet(raw[None])[0]
        ended = bool(gate[length - 1].float().sigmoid() > self.config.gate_threshold)
        return Spectrogram(mel, raw, gate, alignment, ended)


def load(
    path: str | Path, code_dict: str | Path | None = None, k: int | None = None, frame_rate: float | None = None
) -> Tacotron:
    """Load a published Tacotron 2, or one in the project's format.

    `path`: a checkpoint, `.safetensors`, or a folder with one of them. `code_dict`: the published table of its input
    ids, None for the file code_dict beside the checkpoint; a `.safetensors` has its own. `k`: number of units; without
    it, the table's largest and one more. `frame_rate`: frames per second of the units, 50 by default. Raises
    FileNotFoundError, or CheckpointError for a damaged file, or a table that does not fit.
    """
    path = weights_file(path)
    if is_safetensors(path):
        return Tacotron.from_checkpoint(read(path, "gslm_tacotron", published))
    return Tacotron.from_checkpoint(read_published(path, code_dict, k, frame_rate))


def read_published(
    path: Path, code_dict: str | Path | None = None, k: int | None = None, frame_rate: float | None = None
) -> Checkpoint:
    """Read a published Tacotron 2 with its table as a checkpoint; arguments and errors as for `load`."""
    found = read(path, "gslm_tacotron", published)
    table = path.with_name("code_dict") if code_dict is None else Path(code_dict)
    codes = CodeTable.from_file(table, **(found.tokenizer or {}), k=k)
    rate = {} if frame_rate is None else {"frame_rate": float(frame_rate)}
    return replace(found, config={**found.config, **rate}, tokenizer=codes.to_dict())
