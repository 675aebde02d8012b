"""fairseq's checkpoints of decoder-only language models: settings and key names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gslm.ulm.config import ACTIVATIONS, ULMConfig
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, renamed

__all__ = ["published"]

#: Patterns of fairseq's keys and their replacements, tried in turn.
_NAMES = [
    (r"^decoder\.embed_tokens\.", "tok_embeddings."),
    (r"^decoder\.output_projection\.", "output."),
    (r"^decoder\.embed_out$", "output.weight"),
    (r"^decoder\.layer_norm\.", "norm."),
    (r"^decoder\.layers\.", "layers."),
    (r"\.self_attn\.([qkv])_proj\.", r".attention.w\1."),
    (r"\.self_attn\.out_proj\.", ".attention.wo."),
    (r"\.(self_attn_layer_norm|layer_norms\.0)\.", ".attention_norm."),
    (r"\.(final_layer_norm|layer_norms\.2)\.", ".ffn_norm."),
    (r"\.fc([12])\.", r".feed_forward.w\1."),
]
_IGNORED = re.compile(r"decoder\.(version|embed_positions\..*)")
_FUSED = re.compile(r"(.*\.self_attn\.)in_proj_(weight|bias)")
_HEADS = {"transformer_lm_big": 16, "transformer_lm": 8}
_DIM_IN, _DIM_OUT = "decoder.project_in_dim.weight", "decoder.project_out_dim.weight"
_NOT_SUPPORTED = ("decoder_learned_pos", "no_token_positional_embeddings", "adaptive_softmax_cutoff", "adaptive_input")


def published(obj: Any) -> Checkpoint:
    """Translate a fairseq checkpoint with `model` and either `args` or `cfg`; `args` takes precedence.

    Sizes are read off the weights. Raises CheckpointError for another object, and for models of forms that GSLM's are
    not.
    """
    state = obj.get("model") if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or "decoder.embed_tokens.weight" not in state:
        raise CheckpointError(
            "This is no language model of fairseq: it has no `model` with decoder.embed_tokens.weight."
        )
    settings = _settings(obj)
    ours = _translated(_without_fused(state), _has_final_norm(state, settings))
    if "output.weight" not in ours:
        if not settings.get("share_decoder_input_output_embed", False):
            raise CheckpointError(
                "The model has no decoder.output_projection.weight, and does not share its embedding."
            )
        ours["output.weight"] = ours["tok_embeddings.weight"]
    config = _config(ours, settings)
    return Checkpoint(
        kind="gslm_ulm",
        config=config.to_dict(),
        state={f"transformer.{key}": tensor for key, tensor in _without_projections(state, ours).items()},
    )


def _settings(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model's settings of a Namespace or a config; references to other settings are left out."""
    cfg = _plain(obj.get("cfg"))
    found = _plain(obj.get("args")) or {**_plain(cfg.get("task")), **_values(_plain(cfg.get("model")))}
    unusual = [name for name in _NOT_SUPPORTED if found.get(name)]
    if unusual:
        remedy = "GSLM's models are not of this form."
        raise CheckpointError(must(unusual[0], "off in a language model's settings", found[unusual[0]], remedy))
    return found


def _plain(settings: Any) -> dict[str, Any]:
    return dict(settings) if isinstance(settings, Mapping) else dict(getattr(settings, "__dict__", {}))


def _values(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if not (isinstance(value, str) and value.startswith("${"))}


def _has_final_norm(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
    """fairseq drops the norm of files without a version, or one below 3, though its weights are there."""
    version = state.get("decoder.version")
    is_new = version is not None and float(version.flatten()[0]) > 2
    return is_new and not settings.get("no_decoder_final_norm", False)


def _without_fused(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values in matrices of their own, where older files have them in one."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        fused = _FUSED.fullmatch(key)
        if fused is None:
            found[key] = tensor
        else:
            parts = zip("qkv", tensor.chunk(3), strict=True)
            found |= {f"{fused[1]}{name}_proj.{fused[2]}": part for name, part in parts}
    return found


def _translated(state: Mapping[str, Tensor], final_norm: bool) -> dict[str, Tensor]:
    ours = {renamed(key, _NAMES): tensor for key, tensor in state.items()}
    dropped = () if final_norm else ("norm.weight", "norm.bias")
    return {k: v for k, v in ours.items() if k not in (*dropped, _DIM_IN, _DIM_OUT) and not _IGNORED.fullmatch(k)}


def _without_projections(state: Mapping[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold the linear maps between the widths of embeddings and layers into the embeddings they follow or precede."""
    if _DIM_IN in state:
        ours["tok_embeddings.weight"] = ours["tok_embeddings.weight"].float() @ state[_DIM_IN].float().T
    if _DIM_OUT in state:
        ours["output.weight"] = ours["output.weight"].float() @ state[_DIM_OUT].float()
    return ours


def _config(ours: Mapping[str, Tensor], settings: Mapping[str, Any]) -> ULMConfig:
    activation, arch = settings.get("activation_fn", "relu"), settings.get("arch", settings.get("_name"))
    if activation not in ACTIVATIONS:
        raise CheckpointError(must("activation_fn", f"one of {', '.join(ACTIVATIONS)}", activation))
    heads = settings.get("decoder_attention_heads") or _HEADS.get(str(arch))
    if heads is None:
        raise CheckpointError(must("decoder_attention_heads", "in the checkpoint's settings", None))
    first = ours.get("layers.0.feed_forward.w1.weight")
    if first is None:
        raise CheckpointError("The model has no decoder.layers.0.fc1.weight.")
    hidden_dim, dim = first.shape
    return ULMConfig(
        vocab_size=len(ours["tok_embeddings.weight"]),
        dim=dim,
        layers=sum(key.endswith(".attention.wq.weight") for key in ours),
        heads=int(heads),
        hidden_dim=hidden_dim,
        activation=activation,
        scale_embedding=not settings.get("no_scale_embedding", False),
        final_norm="norm.weight" in ours,
        begins_with_bos=bool(settings.get("add_bos_token", False)),
        longest=int(settings.get("max_target_positions") or settings.get("tokens_per_sample") or 3072),
    )
