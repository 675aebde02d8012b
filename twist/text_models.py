"""Text language models of `transformers` (OPT, LLaMA, Mistral, Qwen2), their settings and key names.

OPT's maps between the widths of embeddings and layers have no biases and are folded into the embedding table and the
output layer: the same logits, without a transformer of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError, must

__all__ = ["sizes_of", "weights_of"]

_LLAMAS = ("llama", "mistral", "qwen2")
_RESERVED = 2
"""Rows of OPT's table of positions before that of the first token."""
#: Key in `transformers` -> ours, of a whole model and of a layer.
_OUTSIDE = {
    "embed_tokens.weight": "tok_embeddings.weight",
    "decoder.embed_tokens.weight": "tok_embeddings.weight",
    "decoder.embed_positions.weight": "positions.table.weight",
    "norm.weight": "norm.weight",
    "decoder.final_layer_norm.weight": "norm.weight",
    "decoder.final_layer_norm.bias": "norm.bias",
    "lm_head.weight": "output.weight",
}
_INSIDE = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "self_attn.out_proj": "attention.wo",
    "self_attn_layer_norm": "attention_norm",
    "input_layernorm": "attention_norm",
    "final_layer_norm": "ffn_norm",
    "post_attention_layernorm": "ffn_norm",
    "fc1": "feed_forward.w1",
    "fc2": "feed_forward.w2",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}
_LAYER = re.compile(r"(?:decoder\.)?layers\.(\d+)\.(.+)\.(weight|bias)")
_PROJECTIONS = {"in": "decoder.project_in.weight", "out": "decoder.project_out.weight"}


def sizes_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `TwistLMConfig` that a config.json gives, all but those of units.

    Raises CheckpointError for a model of another kind or form, and for a config that lacks a needed key.
    """
    kind = config.get("model_type")
    if kind == "opt":
        return _opt(config)
    if kind in _LLAMAS:
        return _llama(config)
    raise CheckpointError(must("model_type", f"one of opt, {', '.join(_LLAMAS)}", kind, "It is in config.json."))


def weights_of(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of the shared transformer, in float32 where they are computed.

    `state`: published names, with or without the prefixes `lm.` and `model.`; `config`: that of `sizes_of`. A tied
    output layer may be left out. Raises CheckpointError for unknown names.
    """
    ours: dict[str, Tensor] = {}
    plain = {key.removeprefix("lm.").removeprefix("model."): value for key, value in state.items()}
    for key, tensor in plain.items():
        if key not in _PROJECTIONS.values() and not key.endswith("rotary_emb.inv_freq"):
            ours[_renamed(key)] = tensor
    if "output.weight" not in ours and "tok_embeddings.weight" in ours:
        ours["output.weight"] = ours["tok_embeddings.weight"]
    return _adapted(ours, plain, sizes_of(config))


def _opt(config: Mapping[str, Any]) -> dict[str, Any]:
    _refuse(config, enable_bias=(True,), layer_norm_elementwise_affine=(True,), _remove_final_layer_norm=(False,))
    pre_norm = config.get("do_layer_norm_before", True)
    heads, dim = _needed(config, "num_attention_heads"), _needed(config, "hidden_size")
    return {
        "architecture": "opt" if pre_norm else "opt-post-norm",
        "vocab_size": _needed(config, "vocab_size"),
        "dim": dim,
        "layers": _needed(config, "num_hidden_layers"),
        "heads": heads,
        "kv_heads": heads,
        "head_dim": dim // heads,
        "hidden_dim": _needed(config, "ffn_dim"),
        "longest": _needed(config, "max_position_embeddings"),
        "activation": config.get("activation_function", "relu"),
    }


def _llama(config: Mapping[str, Any]) -> dict[str, Any]:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    _refuse({**config, "rope_type": kind}, hidden_act=("silu",), rope_type=("default",), use_sliding_window=(False,))
    _refuse(config, mlp_bias=(False,))
    heads, dim = _needed(config, "num_attention_heads"), _needed(config, "hidden_size")
    longest = _needed(config, "max_position_embeddings")
    if config["model_type"] == "mistral" and config.get("sliding_window"):
        longest = min(longest, config["sliding_window"])
    return {
        "architecture": "llama",
        "vocab_size": _needed(config, "vocab_size"),
        "dim": dim,
        "layers": _needed(config, "num_hidden_layers"),
        "heads": heads,
        "kv_heads": config.get("num_key_value_heads") or heads,
        "head_dim": config.get("head_dim") or dim // heads,
        "hidden_dim": _needed(config, "intermediate_size"),
        "longest": longest,
        "norm_eps": config.get("rms_norm_eps", 1e-6),
        "rope_theta": float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
        "attention_bias": bool(config.get("attention_bias")) or config["model_type"] == "qwen2",
    }


def _needed(config: Mapping[str, Any], key: str) -> Any:
    if config.get(key) is None:
        raise CheckpointError(f"The language model's config.json lacks `{key}`. Download it again.")
    return config[key]


def _refuse(config: Mapping[str, Any], **allowed: tuple[Any, ...]) -> None:
    for key, values in allowed.items():
        found = config.get(key)
        if found is not None and found not in values:
            known = " or ".join(map(repr, values))
            raise CheckpointError(must(key, f"{known} in the language model's config.json", found))


def _renamed(key: str) -> str:
    layer = _LAYER.fullmatch(key)
    name = _OUTSIDE.get(key) if layer is None else _INSIDE.get(layer[2])
    if name is None:
        raise CheckpointError(f"The language model has weights {key!r}, which models of its kind do not have.")
    return name if layer is None else f"layers.{layer[1]}.{name}.{layer[3]}"


def _adapted(ours: dict[str, Tensor], plain: Mapping[str, Tensor], sizes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Fold OPT's maps and drop its reserved positions; interleave LLaMA's rotary dimensions."""
    if sizes["architecture"] != "llama":
        if _PROJECTIONS["in"] in plain:
            ours["tok_embeddings.weight"] = ours["tok_embeddings.weight"].float() @ plain[_PROJECTIONS["in"]].float().T
        if _PROJECTIONS["out"] in plain:
            ours["output.weight"] = ours["output.weight"].float() @ plain[_PROJECTIONS["out"]].float()
        if "positions.table.weight" in ours:
            ours["positions.table.weight"] = ours["positions.table.weight"][_RESERVED:]
        return ours
    for key in list(ours):
        if ".attention.wq." in key or ".attention.wk." in key:
            ours[key] = _interleaved(ours[key], sizes["head_dim"])
        if sizes["attention_bias"] and key.endswith(".attention.wo.weight"):
            # Qwen2 has biases for queries, keys and values alone.
            ours.setdefault(key.replace(".weight", ".bias"), torch.zeros(len(ours[key])))
    return ours


def _interleaved(tensor: Tensor, head_dim: int) -> Tensor:
    """Text models rotate dimension i of a head with i + head_dim / 2; here 2 i is rotated with 2 i + 1."""
    return tensor.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)
