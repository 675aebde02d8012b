"""Published WavLM checkpoints in the project's terms."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, fold_weight_norm
from wavlm_codebooks.config import ConvLayers, WavLMConfig

__all__ = ["published"]

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
