"""The published language models: TWIST's folders of `transformers`, and those of slamkit's UnitLM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.checks import whole
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint
from slmcore.files.huggingface import read_config, read_json, read_weights
from twist.lm_config import TwistLMConfig
from twist.text_models import sizes_of, weights_of

__all__ = ["SLAMKIT", "read_published", "read_text_model"]

SLAMKIT = {"offset": 2, "bos": 1, "eos": 1}
"""slamkit's tokens: <PAD> 0, <S> 1 at both ends, and unit u + 2."""
_SLAMKIT_KIND = "speech_language_model"
_TABLES = ("tok_embeddings.weight", "output.weight")


def read_published(folder: Path, k: int | None = None) -> Checkpoint:
    """Read a folder of `transformers`: of TWIST, whose config.json has an `offset`, or of slamkit.

    `k`: number of units, by default all tokens from the offset on. Raises CheckpointError for a folder of another kind
    or with a config that lacks a needed key.
    """
    config = read_config(folder)
    if config["model_type"] == _SLAMKIT_KIND:
        return _slamkit(config, folder, k)
    if "offset" not in config:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks `offset`, the token of unit 0: it is a text model's, not one of TWIST's. "
            "To begin from a text model, use TwistLM.from_text_model."
        )
    tokens = {"offset": config["offset"], "eos": _end(config, folder)}
    return _checkpoint(config, read_weights(folder), tokens, k)


def read_text_model(folder: Path, k: int) -> Checkpoint:
    """Read a text model as the initialisation of a unit language model, by slamkit's warm start.

    The k units and the two special tokens take the first k + 2 rows of the text model's tables, regardless of
    the tokens there; rows beyond a smaller vocabulary are the mean of all. All other weights are kept.
    """
    config, size = read_config(folder), whole("k", k, 1) + SLAMKIT["offset"]
    state = weights_of(read_weights(folder), config)
    resized = {name: _resized(state[name], size) for name in _TABLES if name in state}
    sizes = {**sizes_of(config), "vocab_size": size}
    return _made(sizes, {**state, **resized}, SLAMKIT, k)


def _slamkit(config: Mapping[str, Any], folder: Path, k: int | None) -> Checkpoint:
    base = config.get("base_config")
    if not isinstance(base, Mapping):
        raise CheckpointError(f"{folder / 'config.json'} lacks `base_config`, the sizes of the text model.")
    # The config still has the vocabulary size of the text model.
    sizes = {**base, "vocab_size": config.get("vocab_size")}
    return _checkpoint(sizes, read_weights(folder), SLAMKIT, k)


def _checkpoint(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], tokens: Mapping[str, Any], k: int | None
) -> Checkpoint:
    sizes = sizes_of(config)
    units = sizes["vocab_size"] - tokens["offset"] if k is None else k
    return _made(sizes, weights_of(weights, config), tokens, units)


def _made(sizes: Mapping[str, Any], weights: Mapping[str, Tensor], tokens: Mapping[str, Any], k: int) -> Checkpoint:
    config = TwistLMConfig.from_dict({**sizes, **tokens, "num_units": k})
    state = {f"transformer.{name}": tensor for name, tensor in weights.items()}
    return Checkpoint(kind="twist_ulm", config=config.to_dict(), state=state)


def _end(config: Mapping[str, Any], folder: Path) -> int | None:
    """Return the token that ends sequences: that of generation_config.json, which generation uses, if it has one."""
    generation = folder / "generation_config.json"
    settings = read_json(generation) if generation.is_file() else {}
    end = settings.get("eos_token_id", config.get("eos_token_id"))
    if isinstance(end, list):
        if len(end) != 1:
            raise CheckpointError(must("eos_token_id", "one token", end, f"It is in a config of {folder.name}."))
        return end[0]
    return end


def _resized(table: Tensor, rows: int) -> Tensor:
    if rows <= len(table):
        return table[:rows]
    mean = table.float().mean(0, keepdim=True).to(table.dtype)
    return torch.cat([table, mean.expand(rows - len(table), -1)])
