"""Speech encoders with plain self-attention: HuBERT and wav2vec 2.0 (arXiv 2106.07447, 2006.11477)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.encoders import fairseq
from slmcore.encoders.config import EncoderConfig
from slmcore.encoders.speech import SpeechEncoder
from slmcore.encoders.waveforms import Windows
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.ssl.blocks import Attention, PostNormBlock, PreNormBlock
from slmcore.layers.ssl.frontend import Affine, Frontend
from slmcore.units import OperatingPoint

__all__ = ["PlainConfig", "PlainEncoder", "published"]

_TRAINING_ONLY = ("final_proj.", "label_embs_concat", "quantizer.", "project_q.", "encoder.pos_conv.0.num_batches")
_EPS = 1e-5


@dataclass(frozen=True, kw_only=True)
class PlainConfig(EncoderConfig):
    """Sizes and form of an encoder."""

    group_norm: bool
    """Whether the first convolution is normalised over the utterance, instead of each over its channels."""
    conv_bias: bool
    """Whether the convolutions of the frontend have a bias."""
    norm_first: bool
    """Whether blocks are pre-norm."""
    batch_norm: bool = False
    """Whether a batch norm, with the statistics of training, precedes the positional convolution."""
    normalize: bool = False
    """Whether a waveform is first given zero mean and unit variance, as a whole."""


class PlainEncoder(SpeechEncoder):
    """HuBERT or wav2vec 2.0. Audio up to 100 s is encoded as a whole, as published.

    Longer audio is encoded in windows of 30 s with 2 s of context on each side, whose frontend is normalised over the
    whole; with `encoder.windows = Chunks()`, in the chunks of fairseq's readers.
    """

    config: PlainConfig
    config_class = PlainConfig
    windows = Windows(whole=100.0)

    def __init__(self, config: PlainConfig, operating_point: OperatingPoint | None = None) -> None:
        frontend = Frontend(
            config.conv_layers, config.hop, config.field, bias=config.conv_bias, group_norm=config.group_norm
        )
        super().__init__(config, frontend, Affine(config.dim) if config.batch_norm else None, operating_point)
        block = PreNormBlock if config.norm_first else PostNormBlock
        self.blocks = nn.ModuleList(
            block(config.dim, config.ffn_dim, Attention(config.dim, config.heads)) for _ in range(config.layers)
        )
        self.norm = LayerNorm32(config.dim)

    def unused_parameters(self, layer: int | None = None, masked: bool = False) -> list[nn.Parameter]:
        """See `SpeechEncoder.unused_parameters`."""
        unused = super().unused_parameters(layer, masked)
        return [*unused, *self.norm.parameters()] if self.config.norm_first and layer is not None else unused

    def _prepared(self, wav: Tensor, sr: int) -> Tensor:
        ready = super()._prepared(wav, sr)
        return F.layer_norm(ready, ready.shape, eps=_EPS) if self.config.normalize else ready

    def _transformed(self, x: Tensor, padding: Tensor | None, layer: int | None) -> Tensor:
        x = x if self.config.norm_first else self.norm(x)
        for block in self.blocks[:layer]:
            x = block(x, padding)
        return self.norm(x) if self.config.norm_first and layer is None else x


def published(obj: Mapping[str, Any], kind: str, normalize: bool | None = None) -> Checkpoint:
    """Translate fairseq's checkpoint of an encoder, without the weights that only training needs.

    `normalize`: whether waveforms are normalised, None for what the checkpoint says. Raises CheckpointError for another
    architecture.
    """
    found = fairseq.settings(obj)
    for name, usual in (("activation_fn", "gelu"), ("layer_type", "transformer"), ("pos_conv_depth", 1)):
        if found.get(name, usual) != usual:
            raise CheckpointError(must(name, repr(usual), found[name], "Other encoders of fairseq are not known here."))
    batch_norm = bool(found.get("conv_pos_batch_norm", False))
    config = PlainConfig(
        **fairseq.sizes(found),
        group_norm=found.get("extractor_mode", "default") == "default",
        conv_bias=bool(found.get("conv_bias", False)),
        norm_first=bool(found.get("layer_norm_first", False)),
        batch_norm=batch_norm,
        normalize=bool(found.get("normalize", False)) if normalize is None else normalize,
    )
    kept = {key: value for key, value in obj["model"].items() if not key.startswith(_TRAINING_ONLY)}
    own = [(r"^encoder\.layer_norm\.", "norm.")]
    if batch_norm:
        kept = _folded(kept)
        own += [(r"^encoder\.pos_conv\.0\.", "position_conv.norm."), (r"^encoder\.pos_conv\.1\.", "position_conv.")]
    return Checkpoint(kind=kind, config=config.to_dict(), state=fairseq.translated(kept, own))


def _folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fold a batch norm and its statistics into a weight and a bias for each channel."""
    kept, start = dict(state), "encoder.pos_conv.0."
    mean, variance = (kept.pop(f"{start}running_{name}").double() for name in ("mean", "var"))
    weight = kept[f"{start}weight"].double() * torch.rsqrt(variance + _EPS)
    kept[f"{start}bias"] = (kept[f"{start}bias"].double() - mean * weight).float()
    kept[f"{start}weight"] = weight.float()
    return kept
