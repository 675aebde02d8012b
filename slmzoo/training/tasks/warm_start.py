"""Warm start of a unit language model from a text language model's body (TWIST, arXiv 2305.13009)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.transformer import Transformer, TransformerConfig

__all__ = ["body_of", "config_of", "from_text_model"]

_KINDS = ("llama", "mistral")
_SAME = {
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
_TURNED = {"self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk"}


def from_text_model(name: str, vocab_size: int, dropout: float = 0.0) -> Transformer:
    """Return a transformer over `vocab_size` ids with the body of a text model, and new embeddings and head.

    `name`: a Llama- or Mistral-type model on the Hugging Face hub, or a folder of one. The new embeddings and head are
    drawn from normal distributions as wide as the text model's. Raises ImportError without transformers, OSError for a
    missing model, ValueError for an unsupported one.
    """
    try:
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise ImportError("A warm start needs transformers: pip install 'slmzoo[transformers]'.") from error
    text_model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    config = config_of(text_model.config.to_dict(), vocab_size, dropout)
    made = Transformer(config)
    state = text_model.state_dict()
    for new, old in ((made.tok_embeddings, "model.embed_tokens.weight"), (made.output, "lm_head.weight")):
        nn.init.normal_(new.weight, std=float(state[old].std()))
    made.load_state_dict({**made.state_dict(), **body_of(state, config.head_dim)})
    return made


def config_of(text: Mapping[str, Any], vocab_size: int, dropout: float = 0.0) -> TransformerConfig:
    """Return the sizes of a text model from its `config.json`. Raises a ValueError for an unsupported architecture."""
    kind = text.get("model_type")
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    cannot = {
        "model_type": kind not in _KINDS,
        "hidden_act": text.get("hidden_act", "silu") != "silu",
        "attention_bias": bool(text.get("attention_bias")),
        "mlp_bias": bool(text.get("mlp_bias")),
        "rope_type": rope_type != "default",
    }
    wrong = [name for name, is_wrong in cannot.items() if is_wrong]
    if wrong:
        what = {name: {**text, "rope_type": rope_type}[name] for name in wrong}
        raise ValueError(
            must("init", f"a model of type {' or '.join(_KINDS)} without biases or scaled rotary positions", what)
        )
    heads = text["num_attention_heads"]
    return TransformerConfig(
        dim=text["hidden_size"],
        n_layers=text["num_hidden_layers"],
        head_dim=text.get("head_dim") or text["hidden_size"] // heads,
        hidden_dim=text["intermediate_size"],
        n_heads=heads,
        n_kv_heads=text.get("num_key_value_heads") or heads,
        vocab_size=vocab_size,
        norm_eps=text["rms_norm_eps"],
        rope_theta=float(rope.get("rope_theta") or text.get("rope_theta", 10000.0)),
        dropout=dropout,
    )


def body_of(state: Mapping[str, Tensor], head_dim: int) -> dict[str, Tensor]:
    """Return the weights of all layers and of the last norm under this project's names.

    The text models rotate dimension i of a head with i + head_dim / 2, here 2 i goes with 2 i + 1: the rows of the
    query and key projections are permuted accordingly.
    """
    found = {"norm.weight": state["model.norm.weight"]}
    for key, tensor in state.items():
        if key.startswith("model.layers."):
            index, name = key.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
            if name in _SAME:
                found[f"layers.{index}.{_SAME[name]}.weight"] = tensor
            elif name in _TURNED:
                found[f"layers.{index}.{_TURNED[name]}.weight"] = _interleaved(tensor, head_dim)
    return found


def _interleaved(weight: Tensor, head_dim: int) -> Tensor:
    return weight.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)
