"""The published files: a flat state dict of EnCodec's key names, and a config.json beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint
from slmcore.files.encodec import translated
from speechtokenizer.config import SpeechTokenizerConfig

__all__ = ["config_beside", "config_in", "published"]

_FIRST_CODEBOOK = "quantizer.vq.layers.0._codebook.embed"
#: Published key -> ours; `strides` and `n_q` are read on their own.
_KEYS = {
    "n_filters": "n_filters",
    "dimension": "dimension",
    "semantic_dimension": "semantic_dimension",
    "bidirectional": "bidirectional",
    "dilation_base": "dilation_base",
    "residual_kernel_size": "residual_kernel",
    "n_residual_layers": "residual_layers",
    "lstm_layers": "lstm_layers",
    "activation": "activation",
    "codebook_size": "codebook_size",
    "sample_rate": "sample_rate",
    "n_q": "num_codebooks",
}


def published(obj: Mapping[str, Any], config: SpeechTokenizerConfig | None = None) -> Checkpoint:
    """Translate a published state dict, or the generator in a file of the published trainer.

    Without `config` the sizes are read off the weights; 16 kHz and a dilation base of 2, which the weights do not
    show, are those of every published model. Raises CheckpointError for an object of another form.
    """
    state = obj.get("generator", obj) if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or not isinstance(state.get(_FIRST_CODEBOOK), Tensor):
        raise CheckpointError(f"This is no published SpeechTokenizer: it has no {_FIRST_CODEBOOK}.")
    ours = translated({key: value for key, value in state.items() if isinstance(value, Tensor)})
    return Checkpoint(kind="speechtokenizer", config=(config or _read_off(ours)).to_dict(), state=ours)


def config_beside(path: Path) -> SpeechTokenizerConfig | None:
    """Return the config.json in the folder of the weights, or None; a CheckpointError names a key that is missing."""
    file = path.with_name("config.json")
    return config_in(file) if file.is_file() else None


def config_in(file: Path) -> SpeechTokenizerConfig:
    """Read a published config.json under any name. Raises FileNotFoundError, or CheckpointError for other content."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON: {error}") from error
    missing = [key for key in (*_KEYS, "strides") if key not in values]
    if missing:
        raise CheckpointError(must(file.name, f"a SpeechTokenizer's, with {', '.join(missing)}", str(file)))
    ours = {name: values[key] for key, name in _KEYS.items()}
    return SpeechTokenizerConfig.from_dict(ours | {"strides": tuple(reversed(values["strides"]))})


def _read_off(state: Mapping[str, Tensor]) -> SpeechTokenizerConfig:
    convs = sorted(
        int(match[1]) for match in map(re.compile(r"encoder\.model\.(\d+)\.weight").fullmatch, state) if match
    )
    blocks = [key for key in state if re.fullmatch(r"encoder\.model\.\d+\.block\.1\.weight", key)]
    size, dimension = state["quantizer.layers.0.embed"].shape
    return SpeechTokenizerConfig(
        strides=tuple(state[f"encoder.model.{n}.weight"].shape[-1] // 2 for n in convs[1:-1]),
        n_filters=len(state["encoder.model.0.bias"]),
        dimension=dimension,
        semantic_dimension=len(state["transform.bias"]) if "transform.bias" in state else dimension,
        bidirectional=any(key.endswith("_l0_reverse") for key in state),
        residual_kernel=state[blocks[0]].shape[-1],
        residual_layers=len(blocks) // len(convs[1:-1]),
        lstm_layers=sum(bool(re.fullmatch(r"encoder\..+\.weight_ih_l\d+", key)) for key in state),
        activation="Snake" if any(key.endswith(".alpha") for key in state) else "ELU",
        codebook_size=size,
        num_codebooks=sum(key.startswith("quantizer.layers.") for key in state),
    )
