"""CPC-big (Rivière et al. 2020, arXiv 2002.02848; trained by Libri-light's authors), one of GSLM's encoders."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.batching import batches
from slmcore.checks import as_int
from slmcore.configs import ModelConfig
from slmcore.encoders.waveforms import cuts, prepare
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.ssl.frontend import Affine, strided_conv
from slmcore.units import OperatingPoint

__all__ = ["CPC", "CPCConfig", "load", "published"]

_CONVOLUTIONS = ((10, 5, 3), (8, 4, 2), (4, 2, 1), (4, 2, 1), (4, 2, 1))
"""Kernel, stride and padding of each."""
_HOP = 160
_EPS = 1e-5
_CHUNK = 64_000
"""Samples of the chunks in which longer audio is encoded."""
_CONTEXT = 8
"""Frames on each side that the ends of a block may disturb."""


@dataclass(frozen=True, kw_only=True)
class CPCConfig(ModelConfig, describes="a CPC encoder"):
    """Sizes of a CPC; those of CPC-big in brackets."""

    channels: int
    """Width of the convolutions [512]."""
    dim: int
    """Width of the recurrent layers and of the features [512]."""
    layers: int
    """Recurrent layers [4]."""


class ChannelNorm(Affine):
    """Norm over the channels of each frame by the unbiased variance, in float32: (..., channels) to the same shape."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        # A layer norm divides by the biased variance, which is this share of the unbiased one.
        share = 1 - 1 / len(self.weight)
        weight, eps = self.weight * math.sqrt(share), _EPS * share
        return F.layer_norm(x.to(weight.dtype), weight.shape, weight, self.bias, eps).to(x.dtype)


class Convolution(nn.Module):
    """Strided convolution with zeros at both ends, channel norm, ReLU: (B, T, in) -> (B, frames, channels)."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(channels, in_channels, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_normal_(self.weight)
        self.norm = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        padded = F.pad(x, (0, 0, self.padding, self.padding))
        return self.norm(strided_conv(padded, self.weight, self.stride) + self.bias).relu()


class CPC(Saved):
    """Speech encoder, 100 frames of 512 per second: the states of a recurrent network, GSLM's of the second layer.

    As published, audio is encoded in chunks of 64,000 samples, each from a fresh state; the frames after the last full
    chunk are the last frames of one pass over the whole utterance. The published reader keeps some frames too many at
    certain lengths; here n samples give (n + 1) // 160 frames.
    """

    kind = "cpc"
    entry_point = "cpc_big"

    sample_rate = 16_000
    frame_rate = 100.0
    usual_layer = 2
    block = 3000
    """Frames that are convolved at once behind the full chunks."""

    def __init__(self, config: CPCConfig, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.config, self.operating_point = config, operating_point
        inputs = [1, *[config.channels] * (len(_CONVOLUTIONS) - 1)]
        self.convolutions = nn.Sequential(
            *(Convolution(i, config.channels, *each) for i, each in zip(inputs, _CONVOLUTIONS, strict=True))
        )
        widths = [config.channels, *[config.dim] * (config.layers - 1)]
        self.recurrent = nn.ModuleList(nn.LSTM(width, config.dim, batch_first=True) for width in widths)

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.config.dim

    @property
    def num_layers(self) -> int:
        """Number of recurrent layers; the highest `layer`."""
        return self.config.layers

    @torch.no_grad()
    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Features of one utterance: `wav` (1, samples) in -1..1 at `sr` Hz -> float32 (frames, dim).

        They are on the model's device. `layer` counts from 1; None is GSLM's, the second. Raises TypeError or
        ValueError for a `wav` or `layer` that cannot be used, and for less than 159 samples at 16 kHz.
        """
        return self.features_batch([wav], sr, layer)[0]

    @torch.no_grad()
    def features_batch(
        self, wavs: Sequence[Tensor], sr: int, layer: int | None = None, seconds: float = math.inf
    ) -> list[Tensor]:
        """Features of several utterances, recurrent layers in batches; equal to those of `features`, one by one.

        `seconds`: most audio of a batch, padding included, or one chunk.
        """
        layer = self._checked(layer)
        shortest = (_HOP - 1) / self.sample_rate
        ready = [prepare(wav, sr, self.sample_rate, shortest).to(self.device) for wav in wavs]
        passes = [list(wav[: max(1, len(wav) // _CHUNK) * _CHUNK].split(_CHUNK)) for wav in ready]
        done = iter(self._chunks([chunk for chunks in passes for chunk in chunks], layer, seconds))
        return [
            torch.cat([*(next(done) for _ in chunks), *self._rest(wav, layer)])
            for wav, chunks in zip(ready, passes, strict=True)
        ]

    def forward(self, wav: Tensor, layer: int | None = None) -> Tensor:
        """Features of waveforms at 16 kHz in one pass: (B, samples) -> (B, frames, dim), in the model's dtype."""
        return self._recurred(self.convolved(wav), self._checked(layer), {})

    def convolved(self, wav: Tensor) -> Tensor:
        """Frames of waveforms (B, samples) before the recurrent layers: (B, frames, channels)."""
        return self.convolutions(wav[..., None].to(next(self.recurrent.parameters()).dtype))

    def num_frames(self, samples: int) -> int:
        """Number of frames of `samples` samples at 16 kHz."""
        return (samples + 1) // _HOP

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> CPC:
        """The model of a checkpoint of kind "cpc", in float32 and evaluation mode."""
        config = CPCConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config, checkpoint.operating_point), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> CPC:
        """Load a published or saved encoder: a file, a folder with one, or `hf://owner/repo`.

        Example: `CPC.from_pretrained("cpc_big_ll6kh_top_ctc.pt").features(wav, sr)`. Raises FileNotFoundError, or
        CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    def _chunks(self, chunks: Sequence[Tensor], layer: int, seconds: float) -> list[Tensor]:
        """Features of chunks, each from a fresh state; frames of padding come last, where no other frame sees them."""
        found: dict[int, Tensor] = {}
        for group in batches([len(chunk) for chunk in chunks], seconds * self.sample_rate):
            frames = [self.convolved(chunks[i][None])[0] for i in group]
            out = self._recurred(nn.utils.rnn.pad_sequence(frames, batch_first=True), layer, {}).float()
            found |= {i: x[: len(own)].clone() for i, x, own in zip(group, out, frames, strict=True)}
        return [found[i] for i in range(len(chunks))]

    def _rest(self, wav: Tensor, layer: int) -> list[Tensor]:
        """The last frames of the whole, those after its full chunks, window by window in bounded memory."""
        first, total = len(wav) // _CHUNK * (_CHUNK // _HOP), self.num_frames(len(wav))
        kept: list[Tensor] = []
        states: dict[int, tuple[Tensor, Tensor]] = {}
        for cut in cuts(total, self.block, _CONTEXT) if 0 < first < total else ():
            end = len(wav) if cut.last == total else cut.last * _HOP
            frames = self.convolved(wav[None, cut.first * _HOP : end])
            frames = frames[:, cut.start - cut.first : cut.end - cut.first]
            out = self._recurred(frames, layer, states)[0].float()
            kept.append(out[max(0, first - cut.start) :].clone())
        return kept

    def _recurred(self, x: Tensor, layer: int, states: dict[int, tuple[Tensor, Tensor]]) -> Tensor:
        """Frames (B, T, channels) through the first `layer` layers, from `states` on, which are replaced."""
        for index, each in enumerate(self.recurrent[:layer]):
            x, states[index] = each(x, states.get(index))
        return x

    def _checked(self, layer: int | None) -> int:
        found = as_int(self.usual_layer if layer is None else layer)
        if found not in range(1, self.num_layers + 1):
            raise ValueError(must("layer", f"None or a number from 1 to {self.num_layers}", layer))
        return found  # pyright: ignore[reportReturnType]


def load(path: str | Path) -> CPC:
    """The encoder of a model file, published (`.pt`) or of the project (`.safetensors`)."""
    return CPC.from_checkpoint(read(path, "cpc", published))


_RENAMED = (
    (r"^gEncoder\.conv(\d)\.", r"convolutions.\1."),
    (r"^gEncoder\.batchNorm(\d)\.", r"convolutions.\1.norm."),
    (r"^gAR\.baseNet\.(\w+)_l(\d+)$", r"recurrent.\2.\1_l0"),
)


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate `{"weights", "config"}` as published; weights that only training needs are left out."""
    state: dict[str, Tensor] = {}
    for key, value in obj["weights"].items():
        for pattern, name in _RENAMED:
            if re.match(pattern, key):
                state[re.sub(pattern, name, key)] = value.flatten() if ".batchNorm" in key else value
    config = CPCConfig(
        channels=len(state["convolutions.0.bias"]),
        dim=state["recurrent.0.weight_hh_l0"].shape[1],
        layers=sum(key.endswith(".weight_hh_l0") for key in state),
    )
    return Checkpoint(kind="cpc", config=config.to_dict(), state=state)
