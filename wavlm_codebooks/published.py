"""Translation of published WavLM checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slmcore.encoders import fairseq
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint
from wavlm_codebooks.config import WavLMConfig

__all__ = ["published"]

_RENAMED = (
    (r"^encoder\.layers\.0\.self_attn\.relative_attention_bias\.", "position_bias."),
    (r"\.self_attn\.grep_linear\.", ".attention.gate_proj."),
    (r"\.self_attn\.grep_a$", ".attention.gate_scale"),
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
    """Translate `{'cfg', 'model'}` as published, without the entries of cfg that only matter in training.

    Raises CheckpointError for the variants that are another architecture (`wavlm_base`).
    """
    cfg = obj["cfg"]
    for name, needed in _NEEDED.items():
        if cfg[name] != needed:
            raise CheckpointError(
                must(f"cfg[{name!r}]", repr(needed), cfg[name], "Only WavLM large's design is known.")
            )
    positions = {name: cfg[name] for name in ("num_buckets", "max_distance")}
    config = WavLMConfig(**fairseq.sizes(cfg), **positions)
    return Checkpoint(kind="wavlm", config=config.to_dict(), state=fairseq.translated(obj["model"], _RENAMED))
