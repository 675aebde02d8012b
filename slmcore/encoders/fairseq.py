"""fairseq's checkpoints of self-supervised encoders: settings, and names of weights."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from slmcore.encoders.config import ConvLayers
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import fold_weight_norm, renamed

__all__ = ["settings", "sizes", "translated"]

_USUAL_LAYERS = "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2"
_RENAMED = (
    (r"^mask_emb$", "mask_embedding"),
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"frontend.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.(1\.)?", r"frontend.\1.norm."),
    (r"^layer_norm\.", "input_norm."),
    (r"^post_extract_proj\.", "input_proj."),
    (r"^encoder\.layer_norm\.", "output_norm."),
    (r"^encoder\.pos_conv\.0\.", "position_conv."),
    (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".attention_norm."),
    (r"\.final_layer_norm\.", ".ffn_norm."),
)


def settings(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a checkpoint: `args`, or `cfg` with those of the task and of the model side by side."""
    if obj.get("args") is not None:
        return dict(obj["args"])
    cfg = obj["cfg"]
    return {**(cfg.get("task") or {}), **cfg["model"]} if isinstance(cfg.get("model"), Mapping) else dict(cfg)


def sizes(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an `EncoderConfig`; what is absent takes fairseq's default."""
    return {
        "conv_layers": _conv_layers(found.get("conv_feature_layers", _USUAL_LAYERS)),
        "dim": found.get("encoder_embed_dim", 768),
        "ffn_dim": found.get("encoder_ffn_embed_dim", 3072),
        "heads": found.get("encoder_attention_heads", 12),
        "layers": found.get("encoder_layers", 12),
        "conv_pos": found.get("conv_pos", 128),
        "conv_pos_groups": found.get("conv_pos_groups", 16),
    }


def translated(state: Mapping[str, Tensor], own: Iterable[tuple[str, str]] = ()) -> dict[str, Tensor]:
    """Return the weights by our names, weight norm folded; `own`: patterns of a model, matched first, and our names."""
    return {renamed(key, (*own, *_RENAMED)): value for key, value in fold_weight_norm(state).items()}


def _conv_layers(text: Any) -> ConvLayers:
    """Parse `[(512,10,5)] + [(512,3,2)] * 4` without evaluating it: lists, their sums and repeats."""
    wrong = CheckpointError(must("conv_feature_layers", "a sum of lists of (channels, kernel, stride)", text))

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
    except (SyntaxError, TypeError):
        raise wrong from None
