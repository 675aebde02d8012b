"""WavLM: speech to features (Chen et al., arXiv 2110.13900), with the layer-normed frontend and pre-norm blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.batching import batches
from slmcore.checks import as_int
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.precision import LayerNorm32
from slmcore.threads import for_linears
from slmcore.units import OperatingPoint
from wavlm_codebooks.config import WavLMConfig
from wavlm_codebooks.export import to_transformers
from wavlm_codebooks.features import Windows, collate, prepare, windowed
from wavlm_codebooks.layers import Block, Frontend, PositionBias, PositionConv
from wavlm_codebooks.published import published

__all__ = ["WavLM", "WavLMConfig", "load", "published"]


class WavLM(Saved):
    """Speech encoder. `features` is what most callers need; `forward` is for batches and training.

    Under `.to(torch.bfloat16)` or `.half()` the layer norms, the gates and the position bias stay float32 (the gated
    bias is rounded when it is added to the scores), and features come back as float32.
    """

    sample_rate = 16_000
    windows = Windows()
    """How long audio is cut; an instance may have its own."""

    def __init__(self, config: WavLMConfig, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        channels = config.conv_layers[-1][0]
        self.frontend = Frontend(config.conv_layers, config.hop, config.field)
        self.input_norm = LayerNorm32(channels)
        self.input_proj = nn.Linear(channels, config.dim)
        self.mask_embedding = nn.Parameter(torch.empty(config.dim).uniform_())
        self.position_conv = PositionConv(config.dim, config.conv_pos, config.conv_pos_groups)
        self.position_bias = PositionBias(config.heads, config.num_buckets, config.max_distance)
        self.blocks = nn.ModuleList(Block(config.dim, config.ffn_dim, config.heads) for _ in range(config.layers))
        self.output_norm = LayerNorm32(config.dim)

    @property
    def hop(self) -> int:
        """Samples for each frame."""
        return self.config.hop

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop

    @property
    def num_layers(self) -> int:
        """Number of blocks; the highest `layer`."""
        return self.config.layers

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.config.dim

    def keep_layers(self, count: int) -> None:
        """Drop the blocks above the first `count`, for use where no higher layer is wanted."""
        del self.blocks[count:]

    @torch.no_grad()
    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Features of one utterance: `wav` (1, samples) in -1..1 at `sr` Hz -> float32 (frames, dim).

        They are on the model's device. `layer`: number of the block whose output is wanted, 1-based, and the last that
        is run; None runs all and the final norm. Above 60 s the audio goes in windows of 30 s with 2 s of context on
        each side. The waveform is not normalised, as published. Raises TypeError or ValueError for a `wav` or `layer`
        that cannot be used.
        """
        return self.features_batch([wav], sr, layer)[0]

    @torch.no_grad()
    def features_batch(
        self, wavs: Sequence[Tensor], sr: int, layer: int | None = None, seconds: float = math.inf
    ) -> list[Tensor]:
        """Features of several utterances in padded batches; each gets what `features` gives it alone.

        `seconds`: most audio of a batch, padding included, or one utterance; like lengths share a batch.
        """
        self._check_layer(layer)
        with for_linears(self, 1):
            return self._features_of([prepare(w, sr, self.sample_rate).to(self.device) for w in wavs], layer, seconds)

    def _features_of(self, ready: Sequence[Tensor], layer: int | None, seconds: float) -> list[Tensor]:
        long = {i for i, wav in enumerate(ready) if len(wav) > self.windows.whole * self.sample_rate}
        found = {i: self._long_features(ready[i], layer) for i in long}
        short = [i for i in range(len(ready)) if i not in long]
        for group in batches([len(ready[i]) for i in short], seconds * self.sample_rate):
            chosen = [short[i] for i in group]
            batch, lengths = collate([ready[i] for i in chosen])
            with for_linears(self, len(batch) * self.num_frames(batch.shape[1])):
                out = self(batch, lengths if len(chosen) > 1 else None, layer).float()
            found |= {i: x[: self.num_frames(len(ready[i]))] for i, x in zip(chosen, out, strict=True)}
        return [found[i] for i in range(len(ready))]

    def forward(
        self, wav: Tensor, lengths: Tensor | None = None, layer: int | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Features of a batch at 16 kHz: (B, samples) -> (B, frames, dim) in the model's dtype, with gradients.

        `lengths` (B,): samples of each item; frames beyond them are not attended to, and are to be ignored. `mask`
        (B, frames): True where the mask embedding takes the frame's place, for masked prediction. For training on
        several devices see `unused_parameters`.
        """
        self._check_layer(layer)
        if lengths is None:
            return self._encode(self._pad(wav), None, layer, mask)
        wav = wav.masked_fill(torch.arange(wav.shape[1], device=wav.device) >= lengths[:, None], 0.0)
        frames = torch.arange(self.num_frames(wav.shape[1]), device=wav.device)
        return self._encode(self._pad(wav), frames >= (lengths // self.hop)[:, None], layer, mask)

    def unused_parameters(self, layer: int | None = None, masked: bool = False) -> list[nn.Parameter]:
        """Return the parameters that `forward` does not use with this `layer`, and without a mask unless `masked`.

        DistributedDataParallel fails at the second step if they ask for gradients: freeze them before it is made, with
        `requires_grad_(False)` on each, or give it `find_unused_parameters=True`.
        """
        self._check_layer(layer)
        unused = [] if masked else [self.mask_embedding]
        if layer is not None:
            unused += [*self.blocks[layer:].parameters(), *self.output_norm.parameters()]
        return unused

    def num_frames(self, samples: int) -> int:
        """Number of frames for so many samples at 16 kHz."""
        return (samples + 2 * self._padding - self.config.field) // self.hop + 1

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> WavLM:
        """The model of a checkpoint of kind "wavlm", in float32 and evaluation mode."""
        config = WavLMConfig(**checkpoint.config)
        return build(lambda: cls(config, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> WavLM:
        """Load a published or saved encoder: a file, a folder with one, or `hf://owner/repo`.

        Example: `WavLM.from_pretrained("WavLM-Large.pt").features(wav, sr, layer=11)`. Raises FileNotFoundError, or
        CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def to_transformers(self) -> Any:
        """Return the same encoder as a `transformers.WavLMModel`, in float32 and evaluation mode; see `export`."""
        return to_transformers(self)

    def checkpoint(self, provenance: Mapping[str, Any] | None = None) -> Checkpoint:
        """The model as a checkpoint that `slmcore.files.checkpoint.save` writes."""
        return Checkpoint(
            kind="wavlm",
            config=asdict(self.config),
            state=dict(self.state_dict()),
            operating_point=self.operating_point,
            provenance=dict(provenance or {}),
        )

    @property
    def _padding(self) -> int:
        # One frame is to stand for each hop.
        return (self.config.field - self.hop) // 2

    def _pad(self, wav: Tensor) -> Tensor:
        return F.pad(wav, (self._padding, self._padding))

    def _encode(self, padded: Tensor, padding: Tensor | None, layer: int | None, mask: Tensor | None) -> Tensor:
        x = self.frontend(padded[..., None].to(self.input_proj.weight.dtype))
        x = self.input_proj(self.input_norm(x))
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_embedding, x)
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0.0)
        x = self.position_conv(x)
        bias = self.position_bias(x.shape[1])
        for block in self.blocks[:layer]:
            x = block(x, bias, padding)
        return self.output_norm(x) if layer is None else x

    def _long_features(self, wav: Tensor, layer: int | None) -> Tensor:
        window, context = (round(seconds * self.frame_rate) for seconds in (self.windows.window, self.windows.context))
        with for_linears(self, window + 2 * context):
            return windowed(
                lambda piece: self._encode(piece[None], None, layer, None)[0].float(),
                self._pad(wav),
                self.hop,
                self.config.field,
                window,
                context,
            )

    def _check_layer(self, layer: int | None) -> None:
        if layer is not None and as_int(layer) not in range(1, self.num_layers + 1):
            raise ValueError(must("layer", f"None or a block number from 1 to {self.num_layers}", layer))


def load(path: str | Path) -> WavLM:
    """The encoder of a model file, published (`.pt`) or of the project (`.safetensors`)."""
    return WavLM.from_checkpoint(read(path, "wavlm", published))
