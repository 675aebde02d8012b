"""A text language model as the start of a unit language model (TWIST, arXiv 2305.13009)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mistral_ulm import UnitLM
from slmcore.files import model_hub
from slmcore.files.huggingface import read_config, read_weights
from slmcore.layers.transformer import Transformer, TransformerConfig
from slmzoo.training.data.unit_ids import UnitIds
from twist import TwistLM, TwistLMConfig
from twist.published_lm import read_text_model
from twist.text_models import sizes_of, weights_of

__all__ = ["from_text_model"]

_TABLES = ("tok_embeddings.weight", "output.weight")
_FILES = ("*.json", "*.safetensors", "*.bin")


def from_text_model(
    name: str, k: int, embeddings: Literal["new", "text"] = "new", dropout: float = 0.0
) -> UnitLM | TwistLM:
    """Start a language model of k units from a text model: its layers and norms, and tables of the units.

    `name`: of an OPT-, LLaMA-, Mistral- or Qwen2-type model on the Hugging Face hub, or a folder of one. "new" tables
    are drawn from normal distributions as wide as the text model's, and a body without biases makes the zoo's own
    `UnitLM`; "text" takes the first rows of the text model's tables, as slamkit does. Raises FileNotFoundError or
    FetchError if there is no such model, CheckpointError for one of another kind.
    """
    folder = _folder(name)
    if embeddings == "text":
        found = read_text_model(folder, k)
        return TwistLM.from_checkpoint(replace(found, config={**found.config, "dropout": dropout}))
    config = read_config(folder)
    sizes = sizes_of(config)
    state = {name: tensor.float() for name, tensor in weights_of(read_weights(folder), config).items()}
    if sizes["architecture"] == "llama" and not sizes["attention_bias"]:
        return _unit_lm(sizes, state, k, dropout)
    ids = UnitIds(k)
    of_units = {"vocab_size": ids.vocab_size, "num_units": k, "offset": ids.offset, "bos": ids.bos, "eos": ids.bos}
    model = TwistLM(TwistLMConfig.from_dict({**sizes, **of_units, "dropout": dropout}))
    _fill(model.transformer, state)
    return model


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    address = f"hf://{name}"
    if not model_hub.is_folder(address):
        raise FileNotFoundError(f"{name} is no folder, and no name of a model on the hub, owner/name.")
    return model_hub.folder_of(address, _FILES)


def _unit_lm(sizes: Mapping[str, Any], state: Mapping[str, Tensor], k: int, dropout: float) -> UnitLM:
    body = Transformer(
        TransformerConfig(
            dim=sizes["dim"],
            n_layers=sizes["layers"],
            head_dim=sizes["head_dim"],
            hidden_dim=sizes["hidden_dim"],
            n_heads=sizes["heads"],
            n_kv_heads=sizes["kv_heads"],
            vocab_size=UnitIds(k).vocab_size,
            norm_eps=sizes["norm_eps"],
            rope_theta=sizes["rope_theta"],
            dropout=dropout,
        )
    )
    _fill(body, state)
    with torch.device("meta"):
        model = UnitLM(body.config)
    model.transformer = body
    return model


def _fill(transformer: Transformer, state: Mapping[str, Tensor]) -> None:
    """Take over a text model's body, and draw tables as wide as its own."""
    for new, old in zip((transformer.tok_embeddings, transformer.output), _TABLES, strict=True):
        nn.init.normal_(new.weight, std=float(state[old].std()))
    body = {name: tensor for name, tensor in state.items() if name not in _TABLES}
    transformer.load_state_dict({**transformer.state_dict(), **body})
