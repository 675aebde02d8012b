"""Export of the unit language model to the transformers library."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mistral_ulm.tokenizer import BOS
from slmcore.layers.transformer import Transformer, TransformerConfig

__all__ = ["to_transformers"]

_LONGEST = 1 << 20
"""Positions allowed by the exported config; rotary positions are unlimited."""
_SAME = {
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_TURNED = {"attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj"}
_OUTSIDE = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def to_transformers(model: Transformer) -> Any:
    """Return the transformer as a `transformers.MistralForCausalLM`, on the CPU, in float32 and evaluation mode.

    Ids are those of `UnitTokenizer`: BOS, which also ends an utterance, is 0, and unit u is u + 1. Raises ImportError
    without transformers.
    """
    try:
        from transformers import MistralForCausalLM
    except ImportError as error:
        raise ImportError("to_transformers needs the library: pip install transformers.") from error
    made = MistralForCausalLM(_config(model.config))
    made.load_state_dict({key: tensor.detach().cpu().float() for key, tensor in _state(model).items()})
    return made.eval()


def _config(config: TransformerConfig) -> Any:
    from transformers import MistralConfig

    theta: dict[str, Any] = {"rope_theta": config.rope_theta}  # read by version 4, and turned to rope_parameters by 5
    return MistralConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.dim,
        intermediate_size=config.hidden_dim,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_kv_heads,
        head_dim=config.head_dim,
        rms_norm_eps=config.norm_eps,
        **theta,
        max_position_embeddings=_LONGEST,
        sliding_window=None,
        tie_word_embeddings=False,
        bos_token_id=BOS,
        eos_token_id=BOS,
        pad_token_id=None,
    )


def _state(model: Transformer) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in model.state_dict().items():
        if key in _OUTSIDE:
            found[_OUTSIDE[key]] = tensor
            continue
        _, index, name = key.removesuffix(".weight").split(".", 2)
        weight = _halved(tensor, model.config.head_dim) if name in _TURNED else tensor
        found[f"model.layers.{index}.{(_SAME | _TURNED)[name]}.weight"] = weight
    return found


def _halved(weight: Tensor, head_dim: int) -> Tensor:
    """Permute the rows of a head to transformers' order: dimension i is rotated with i + head_dim / 2, not i + 1."""
    return weight.unflatten(0, (-1, head_dim // 2, 2)).transpose(1, 2).flatten(0, 2)
