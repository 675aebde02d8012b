"""Encoders in folders of `transformers`, translated to fairseq's checkpoints of the same models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import renamed
from slmcore.files.huggingface import read_config, read_weights

__all__ = ["as_fairseq"]

#: Patterns of names in `transformers`, and fairseq's.
_RENAMED = (
    (r"^(hubert|wav2vec2)\.", ""),
    (r"^masked_spec_embed$", "mask_emb"),
    (r"^feature_extractor\.conv_layers\.(\d+)\.conv\.", r"feature_extractor.conv_layers.\1.0."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.layer_norm\.", r"feature_extractor.conv_layers.\1.2."),
    (r"^feature_projection\.layer_norm\.", "layer_norm."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (r"^encoder\.layers\.(\d+)\.layer_norm\.", r"encoder.layers.\1.self_attn_layer_norm."),
    (r"^encoder\.layers\.(\d+)\.attention\.", r"encoder.layers.\1.self_attn."),
    (r"\.feed_forward\.intermediate_dense\.", ".fc1."),
    (r"\.feed_forward\.output_dense\.", ".fc2."),
)
_POSITIONS = "encoder.pos_conv_embed."
#: Key of config.json -> fairseq's.
_SIZES = {
    "hidden_size": "encoder_embed_dim",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "intermediate_size": "encoder_ffn_embed_dim",
    "num_conv_pos_embeddings": "conv_pos",
    "num_conv_pos_embedding_groups": "conv_pos_groups",
    "conv_bias": "conv_bias",
    "hidden_act": "activation_fn",
}


def as_fairseq(folder: Path) -> dict[str, Any]:
    """Return `{"cfg": settings, "model": weights}` of a folder.

    Raises CheckpointError for a model of another kind, and for a config that lacks a needed key.
    """
    config = read_config(folder)
    if config["model_type"] not in ("hubert", "wav2vec2"):
        raise CheckpointError(must("model_type", "'hubert' or 'wav2vec2'", config["model_type"], f"It is in {folder}."))
    batch_norm = bool(config.get("conv_pos_batch_norm", False))
    settings = {ours: _needed(config, key, folder) for key, ours in _SIZES.items()} | {
        "conv_feature_layers": _conv_layers(config, folder),
        "extractor_mode": {"group": "default"}.get(config.get("feat_extract_norm", "group"), "layer_norm"),
        "layer_norm_first": bool(config.get("do_stable_layer_norm", False)),
        "conv_pos_batch_norm": batch_norm,
    }
    weights = read_weights(folder)
    return {
        "cfg": {"model": settings},
        "model": {_published_name(key, batch_norm): value for key, value in weights.items()},
    }


def _conv_layers(config: Mapping[str, Any], folder: Path) -> str:
    columns = [_needed(config, f"conv_{name}", folder) for name in ("dim", "kernel", "stride")]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        raise CheckpointError(must("conv_dim, conv_kernel, conv_stride", "lists of one length", columns))
    return repr(list(zip(*columns, strict=True)))


def _needed(config: Mapping[str, Any], key: str, folder: Path) -> Any:
    if key not in config:
        raise CheckpointError(f"{folder / 'config.json'} lacks `{key}`. Download it again.")
    return config[key]


def _published_name(key: str, batch_norm: bool) -> str:
    key = renamed(key, _RENAMED)
    conv = "encoder.pos_conv.1." if batch_norm else "encoder.pos_conv.0."
    key = key.replace(f"{_POSITIONS}batch_norm.", "encoder.pos_conv.0.")
    return key.replace(f"{_POSITIONS}conv.", conv)
