"""WavLM: speech to features (Chen et al., arXiv 2110.13900), with the layer-normed frontend and pre-norm blocks."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.batching import batches
from slmcore.checks import as_int
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, build, fold_weight_norm, read
from slmcore.layers.precision import LayerNorm32
from slmcore.threads import for_linears
from slmcore.units import OperatingPoint
from wavlm_codebooks.features import Windows, collate, prepare, windowed
from wavlm_codebooks.layers import Block, Frontend, PositionBias, PositionConv

__all__ = ["WavLM", "WavLMConfig", "load", "published"]

ConvLayers = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class WavLMConfig:
    """Sizes of a WavLM; those of `wavlm_large` in brackets."""

    conv_layers: ConvLayers
    """(channels, kernel, stride) of each frontend layer [(512, 10, 5), 4 x (512, 3, 2), 2 x (512, 2, 2)]."""
    dim: int
    """Width of the features [1024]."""
    ffn_dim: int
    """Width inside the feed-forward layers [4096]."""
    heads: int
    """Attention heads [16]."""
    layers: int
    """Transformer blocks [24]."""
    conv_pos: int
    """Kernel of the positional convolution, frames [128]."""
    conv_pos_groups: int
    """Its groups [16]."""
    num_buckets: int
    """Buckets of relative positions, both signs together [320]."""
    max_distance: int
    """Distance from which on all positions share a bucket, frames [800]."""

    def __post_init__(self) -> None:
        # JSON has lists only.
        object.__setattr__(self, "conv_layers", tuple(tuple(layer) for layer in self.conv_layers))
        if self.dim % self.heads or self.dim % self.conv_pos_groups:
            remedy = f"It has {self.heads} heads and {self.conv_pos_groups} groups."
            raise ValueError(must("dim", "a multiple of heads and conv_pos_groups", self.dim, remedy))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.conv_layers)

    @property
    def field(self) -> int:
        """Samples that one frame of the frontend sees."""
        field, step = 1, 1
        for _, kernel, stride in self.conv_layers:
            field, step = field + (kernel - 1) * step, step * stride
        return field


class WavLM(nn.Module):
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

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.mask_embedding.device

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


_RENAMED = (
    (r"^mask_emb$", "mask_embedding"),
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"frontend.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.1\.", r"frontend.\1.norm."),
    (r"^layer_norm\.", "input_norm."),
    (r"^post_extract_proj\.", "input_proj."),
    (r"^encoder\.layer_norm\.", "output_norm."),
    (r"^encoder\.pos_conv\.0\.", "position_conv."),
    (r"^encoder\.layers\.0\.self_attn\.relative_attention_bias\.", "position_bias."),
    (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"\.self_attn\.grep_linear\.", ".attention.gate_proj."),
    (r"\.self_attn\.grep_a$", ".attention.gate_scale"),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.final_layer_norm\.", ".ffn_norm."),
)
_NEEDED: dict[str, Any] = {
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "conv_bias": False,
    "activation_fn": "gelu",
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate `{'cfg', 'model'}` as published; what of cfg matters in training only is left out.

    Raises CheckpointError for the variants that are another architecture (`wavlm_base`).
    """
    cfg, state = obj["cfg"], fold_weight_norm(obj["model"])
    for name, needed in _NEEDED.items():
        if cfg[name] != needed:
            raise CheckpointError(
                must(f"cfg[{name!r}]", repr(needed), cfg[name], "Only WavLM large's design is known.")
            )
    config = WavLMConfig(
        conv_layers=_parse_conv_layers(cfg["conv_feature_layers"]),
        dim=cfg["encoder_embed_dim"],
        ffn_dim=cfg["encoder_ffn_embed_dim"],
        heads=cfg["encoder_attention_heads"],
        layers=cfg["encoder_layers"],
        **{name: cfg[name] for name in ("conv_pos", "conv_pos_groups", "num_buckets", "max_distance")},
    )
    return Checkpoint(kind="wavlm", config=asdict(config), state={_rename(k): v for k, v in state.items()})


def _rename(key: str) -> str:
    for pattern, name in _RENAMED:
        key = re.sub(pattern, name, key)
    return key


def _parse_conv_layers(text: str) -> ConvLayers:
    """Read `[(512,10,5)] + [(512,3,2)] * 4` without evaluating it: lists, their sums and repeats."""
    wrong = CheckpointError(must("cfg['conv_feature_layers']", "a sum of lists of (channels, kernel, stride)", text))

    def value(node: ast.expr) -> list[tuple[int, int, int]]:
        match node:
            case ast.List():
                return ast.literal_eval(node)
            case ast.BinOp(left, ast.Add(), right):
                return value(left) + value(right)
            case ast.BinOp(left, ast.Mult(), ast.Constant(int(times))) if times <= 100:
                return value(left) * times
        raise wrong

    try:
        return tuple(value(ast.parse(text, mode="eval").body))
    except SyntaxError:
        raise wrong from None
