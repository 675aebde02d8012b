"""Base of WavLM, HuBERT and wav2vec 2.0: batches, windows for long audio, layers by number."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self

from slmcore.audio.checks import SHORTEST_SECONDS
from slmcore.batching import batches
from slmcore.checks import as_int
from slmcore.encoders.config import EncoderConfig
from slmcore.encoders.waveforms import Chunks, Windows, collate, prepare, windowed
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build
from slmcore.files.pretrained import Saved
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.ssl.frontend import Frontend
from slmcore.layers.ssl.positions import PositionConv
from slmcore.threads import for_linears
from slmcore.units import OperatingPoint

__all__ = ["SpeechEncoder"]


class SpeechEncoder(Saved):
    """Waveform to features. Most callers need `features`; `forward` is for batches and training.

    Under `.to(torch.bfloat16)` or `.half()` the norms stay float32, and features come back as float32. A model has a
    frontend, an input norm and projection, a mask embedding, a positional convolution, and its own `blocks`.
    """

    config_class: ClassVar[type[EncoderConfig]]
    blocks: nn.ModuleList
    sample_rate = 16_000
    windows: Windows | Chunks = Windows()
    """Windowing of long audio; an instance may have its own."""
    usual_layer: int | None = None
    """Layer of `features` where none is named; None for all, and the norm that follows."""

    def __init__(
        self,
        config: EncoderConfig,
        frontend: Frontend,
        position_norm: nn.Module | None = None,
        operating_point: OperatingPoint | None = None,
    ) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        channels = config.conv_layers[-1][0]
        self.frontend = frontend
        self.input_norm = LayerNorm32(channels)
        self.input_proj = nn.Linear(channels, config.dim)
        self.mask_embedding = nn.Parameter(torch.empty(config.dim).uniform_())
        self.position_conv = PositionConv(config.dim, config.conv_pos, config.conv_pos_groups, position_norm)

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.config.hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def num_layers(self) -> int:
        """Number of blocks; the highest `layer`."""
        return self.config.layers

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.config.dim

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.mask_embedding.device

    @property
    def padding(self) -> int:
        """Zeros before and after a waveform."""
        return 0

    def keep_layers(self, count: int) -> None:
        """Drop all blocks but the first `count`, if no higher layer is needed."""
        del self.blocks[count:]

    @torch.no_grad()
    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Features of one utterance: `wav` (1, samples) in -1..1 at `sr` Hz -> float32 (frames, dim).

        They are on the model's device. `layer`: block whose output is returned, 1-based, the last one to be run; None
        is `usual_layer`, or all blocks and the final norm. Long audio is encoded in `windows`. Raises TypeError or
        ValueError for a `wav` or `layer` that cannot be used.
        """
        return self.features_batch([wav], sr, layer)[0]

    @torch.no_grad()
    def features_batch(
        self, wavs: Sequence[Tensor], sr: int, layer: int | None = None, seconds: float = math.inf
    ) -> list[Tensor]:
        """Features of several utterances in padded batches, each equal to what `features` returns for it alone.

        `seconds`: most audio of a batch, padding included, or one utterance; similar lengths share a batch.
        """
        layer = self.usual_layer if layer is None else layer
        self._check_layer(layer)
        with for_linears(self, 1):
            return self._features_of([self._prepared(wav, sr) for wav in wavs], layer, seconds)

    @torch.no_grad()
    def mean_of_layers(self, wavs: Tensor, sr: int) -> Tensor:
        """Mean over all layers, float32 (B, frames, dim), of waveforms (B, samples) at `sr` Hz, each in one pass.

        It takes in the input of the first block and the output of each, none of them normed once more: the hidden
        states whose mean is SpeechTokenizer's teacher (arXiv 2308.16692, section 3.3). Raises as `features` does.
        """
        states: list[Any] = []
        hooks = [self.blocks[0].register_forward_pre_hook(lambda block, given: states.append(given[0]))]
        hooks += [block.register_forward_hook(lambda block, given, made: states.append(made)) for block in self.blocks]
        try:
            ready = torch.stack([self._prepared(wav[None], sr) for wav in wavs])
            self(ready.to(self.device), None, len(self.blocks))
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(states).float().mean(0)

    def _prepared(self, wav: Tensor, sr: int) -> Tensor:
        needed = (self.config.field - 2 * self.padding) / self.sample_rate
        return prepare(wav, sr, self.sample_rate, max(SHORTEST_SECONDS, needed))

    def _features_of(self, ready: Sequence[Tensor], layer: int | None, seconds: float) -> list[Tensor]:
        long = {i for i, wav in enumerate(ready) if len(wav) > self.windows.whole * self.sample_rate}
        found = {i: self._long_features(ready[i].to(self.device), layer) for i in long}
        short = [i for i in range(len(ready)) if i not in long]
        for group in batches([len(ready[i]) for i in short], seconds * self.sample_rate):
            chosen = [short[i] for i in group]
            batch, lengths = collate([ready[i] for i in chosen], self.device)
            with for_linears(self, len(batch) * self.num_frames(batch.shape[1])):
                out = self(batch, lengths, layer).float()
            found |= {i: x[: self.num_frames(len(ready[i]))] for i, x in zip(chosen, out, strict=True)}
        return [found[i] for i in range(len(ready))]

    def forward(
        self, wav: Tensor, lengths: Tensor | None = None, layer: int | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Features of a batch at 16 kHz: (B, samples) -> (B, frames, dim) in the model's dtype, with gradients.

        `lengths` (B,): samples of each item; frames beyond them are not attended to and must be ignored. `mask` (B,
        frames): True where the mask embedding takes the frame's place, for masked prediction. For training on several
        devices see `unused_parameters`.
        """
        self._check_layer(layer)
        if lengths is None:
            padded = self._pad(wav)
            return self._encode(padded, None, layer, mask, self.frontend.norms(padded))
        padded = self._pad(wav.masked_fill(torch.arange(wav.shape[1], device=wav.device) >= lengths[:, None], 0.0))
        frames = torch.arange(self.num_frames(wav.shape[1]), device=wav.device)
        padding = frames >= self.num_frames(lengths)[:, None]
        norms = self.frontend.norms(padded, lengths + 2 * self.padding)
        return self._encode(padded, padding, layer, mask, norms)

    def unused_parameters(self, layer: int | None = None, masked: bool = False) -> list[nn.Parameter]:
        """Return the parameters that `forward` does not use with this `layer`, and without a mask unless `masked`.

        DistributedDataParallel fails at the second step if they ask for gradients: freeze them before it is made, with
        `requires_grad_(False)` on each, or give it `find_unused_parameters=True`.
        """
        self._check_layer(layer)
        unused = [] if masked else [self.mask_embedding]
        return unused if layer is None else [*unused, *self.blocks[layer:].parameters()]

    def num_frames(self, samples: Any) -> Any:
        """Number of frames for so many samples at 16 kHz, an int or a tensor of them."""
        return (samples + 2 * self.padding - self.config.field) // self.hop + 1

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The model of a checkpoint of its kind, in float32 and evaluation mode."""
        config: Any = cls.config_class.from_dict(checkpoint.config)
        return build(lambda: cls(config, operating_point=checkpoint.operating_point), checkpoint.state)  # pyright: ignore[reportCallIssue]

    @abstractmethod
    def _transformed(self, x: Tensor, padding: Tensor | None, layer: int | None) -> Tensor:
        """Run the blocks on frames with positions (B, T, dim); `padding` (B, T) is True beyond the ends."""

    def _pad(self, wav: Tensor) -> Tensor:
        return F.pad(wav, (self.padding, self.padding))

    def _encode(
        self,
        padded: Tensor,
        padding: Tensor | None,
        layer: int | None,
        mask: Tensor | None,
        norms: tuple[Tensor, ...],
    ) -> Tensor:
        x = self.frontend(padded[..., None].to(self.input_proj.weight.dtype), norms)
        x = self.input_proj(self.input_norm(x))
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_embedding, x)
        return self._transformed(self.position_conv(x, padding), padding, layer)

    def _long_features(self, wav: Tensor, layer: int | None) -> Tensor:
        if isinstance(self.windows, Chunks):
            return self._in_chunks(wav, layer, round(self.windows.whole * self.sample_rate))
        window, context = (round(seconds * self.frame_rate) for seconds in (self.windows.window, self.windows.context))
        padded = self._pad(wav)
        norms = self.frontend.norms(padded[None])
        with for_linears(self, window + 2 * context):
            return windowed(
                lambda segment: self._encode(segment[None], None, layer, None, norms)[0].float(),
                padded,
                self.hop,
                self.config.field,
                window,
                context,
            )

    def _in_chunks(self, wav: Tensor, layer: int | None, samples: int) -> Tensor:
        """Encode each chunk alone; a last chunk too short for a frame is dropped."""
        chunks = [chunk for chunk in wav.split(samples) if self.num_frames(len(chunk)) > 0]
        with for_linears(self, self.num_frames(samples)):
            return torch.cat([self(chunk[None], None, layer)[0].float() for chunk in chunks])

    def _check_layer(self, layer: int | None) -> None:
        if layer is not None and as_int(layer) not in range(1, self.num_layers + 1):
            raise ValueError(must("layer", f"None or a block number from 1 to {self.num_layers}", layer))
