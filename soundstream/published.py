"""Key names of published weights: SoundStream's, Mimi's in moshi, and those of Mimi's transformers in transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, renamed
from slmcore.files.encodec import translated
from slmcore.layers.seanet import SEANetConfig
from soundstream.config import SoundStreamConfig, TransformerConfig

__all__ = ["published", "transformer_state"]

_SAMPLE_RATE = 24000
"""Sample rate of both publications, which the weights do not show, Hz."""
_FIRST = "decoder.model.0."
_MIMI_HEADS, _MIMI_CONTEXT = 8, 250
_MOSHI = {
    r"(\w+_transformer)\.transformer\.": r"\1.",
    r"\.self_attn\.in_proj(?:s\.0\.|_)weight": ".attention.qkv.weight",
    r"\.self_attn\.out_proj(?:s\.0)?\.": ".attention.out.",
    r"\.linear1\.": ".up.",
    r"\.linear2\.": ".down.",
    r"\.layer_scale_([12])\.scale": r".scale\1",
    r"quantizer\.rvq_first\.layers\.": "quantizer.semantic.vq.layers.",
    r"quantizer\.rvq_rest\.layers\.": "quantizer.acoustic.vq.layers.",
    r"quantizer\.rvq_first\.": "quantizer.semantic.",
    r"quantizer\.rvq_rest\.": "quantizer.acoustic.",
}
_TRANSFORMERS = {
    r"\.self_attn\.o_proj\.": ".attention.out.",
    r"\.mlp\.fc1\.": ".up.",
    r"\.mlp\.fc2\.": ".down.",
    r"\.input_layernorm\.": ".norm1.",
    r"\.post_attention_layernorm\.": ".norm2.",
    r"\.self_attn_layer_scale\.scale": ".scale1",
    r"\.mlp_layer_scale\.scale": ".scale2",
}


def published(obj: Mapping[str, Any], **facts: Any) -> Checkpoint:
    """Translate a published state dict, flat or under `state_dict`; the sizes are read off the weights.

    `facts`: settings that the weights do not show, where they differ from the publication's: `sample_rate`, `causal`,
    `pad_mode`, `dilation_base`, and of transformers `heads` and `context`. Raises CheckpointError for an object of
    another form or facts of another name.
    """
    state = obj.get("state_dict", obj) if isinstance(obj, Mapping) else None
    state = _without_wrapper(state) if isinstance(state, Mapping) else {}
    if not any(key.startswith(_FIRST) for key in state):
        raise CheckpointError(f"This is no published SoundStream: it has no {_FIRST}")
    found = translated({key: value for key, value in state.items() if isinstance(value, Tensor)})
    ours = {renamed(key, _MOSHI.items()): value for key, value in found.items()}
    config = _with_facts(_read_off(ours), facts)
    return Checkpoint(kind="soundstream", config=config.to_dict(), state=ours)


def _without_wrapper(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the codec's part of a trainer's state dict, without its prefix."""
    prefix = next((key[: key.index(_FIRST)] for key in map(str, state) if _FIRST in key), "")
    return {str(key)[len(prefix) :]: value for key, value in state.items() if str(key).startswith(prefix)}


def transformer_state(state: Mapping[str, Tensor], heads: int) -> dict[str, Tensor]:
    """Translate the `layers.*` of one of Mimi's transformers as the transformers library names them.

    That library rotates the halves of a head with each other, this one neighbours: the rows of q and k are reordered.
    """
    kept = {key: value.float() for key, value in state.items() if ".self_attn.q" not in key}
    ours = {renamed(key, _TRANSFORMERS.items()): value for key, value in kept.items()}
    for key in [key for key in ours if key.endswith(("k_proj.weight", "v_proj.weight"))]:
        ours.pop(key)
    for key in state:
        if key.endswith(".q_proj.weight"):
            prefix = key.removesuffix("q_proj.weight")
            q, k, v = (state[f"{prefix}{name}_proj.weight"].float() for name in "qkv")
            joined = torch.cat([_neighbours(q, heads), _neighbours(k, heads), v])
            ours[prefix.replace(".self_attn.", ".attention.") + "qkv.weight"] = joined
    return ours


def _neighbours(weight: Tensor, heads: int) -> Tensor:
    halves = weight.unflatten(0, (heads, 2, -1))
    return halves.transpose(1, 2).flatten(0, 2)


def _read_off(state: Mapping[str, Tensor]) -> SoundStreamConfig:
    projected = state.get("quantizer.semantic.input_proj.weight")
    embed = next(value for key, value in state.items() if key.endswith(".embed"))
    return SoundStreamConfig(
        sample_rate=_SAMPLE_RATE,
        seanet=_seanet(state, mimi=projected is not None),
        codebook_size=len(embed),
        num_codebooks=sum(key.endswith(".embed") for key in state),
        quantizer_dimension=None if projected is None else len(projected),
        semantic=projected is not None,
        downsample=state["downsample.weight"].shape[-1] // 2 if "downsample.weight" in state else 1,
        transformer=_transformer(state),
    )


def _seanet(state: Mapping[str, Tensor], mimi: bool) -> SEANetConfig:
    numbers = (re.fullmatch(r"encoder\.model\.(\d+)\.weight", key) for key in state)
    convs = [state[f"encoder.model.{n}.weight"] for n in sorted(int(match[1]) for match in numbers if match)]
    blocks = [key for key in state if re.fullmatch(r"encoder\.model\.\d+\.block\.1\.weight", key)]
    narrow = state[blocks[0]]
    return SEANetConfig(
        strides=tuple(conv.shape[-1] // 2 for conv in convs[1:-1]),
        n_filters=len(convs[0]),
        dimension=len(convs[-1]),
        residual_layers=len(blocks) // len(convs[1:-1]),
        kernel=convs[0].shape[-1],
        last_kernel=convs[-1].shape[-1],
        residual_kernel=narrow.shape[-1],
        compress=narrow.shape[1] // narrow.shape[0],
        shortcut=any(".shortcut." in key for key in state),
        lstm_layers=sum(bool(re.fullmatch(r"encoder\..+\.weight_ih_l\d+", key)) for key in state),
        causal=mimi,
        pad_mode="constant" if mimi else "reflect",
    )


def _transformer(state: Mapping[str, Tensor]) -> TransformerConfig | None:
    ups = [value for key, value in state.items() if re.fullmatch(r"encoder_transformer\.layers\.\d+\.up\.weight", key)]
    if not ups:
        return None
    return TransformerConfig(layers=len(ups), heads=_MIMI_HEADS, hidden=len(ups[0]), context=_MIMI_CONTEXT)


def _with_facts(config: SoundStreamConfig, facts: Mapping[str, Any]) -> SoundStreamConfig:
    seanet = {key: facts[key] for key in ("causal", "pad_mode", "dilation_base") if key in facts}
    attention = {key: facts[key] for key in ("heads", "context") if key in facts}
    unknown = set(facts) - set(seanet) - set(attention) - {"sample_rate"}
    if unknown or (attention and config.transformer is None):
        raise CheckpointError(f"These weights do not want {', '.join(sorted(unknown or attention))} to be told.")
    transformer = replace(config.transformer, **attention) if config.transformer else None
    rate = facts.get("sample_rate", config.sample_rate)
    return replace(config, sample_rate=rate, seanet=replace(config.seanet, **seanet), transformer=transformer)
