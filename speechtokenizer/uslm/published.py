"""The published file of USLM: `{"model": state_dict, ...}`, by vall-e's key names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, renamed
from speechtokenizer.uslm.config import USLMConfig

__all__ = ["published"]

#: Patterns of published keys and their replacements, tried in turn.
_NAMES = [
    (r"^(n?ar)_text_embedding\.word_embeddings", r"\1.text"),
    (r"^ar_audio_embedding\.word_embeddings", "ar.audio"),
    (r"^nar_audio_embeddings\.(\d+)\.word_embeddings", r"nar.audio.\1"),
    (r"^(n?ar)_(text|audio)_position\.alpha", r"\1.\2_scale"),
    (r"^(n?ar)_decoder\.", r"\1.stack."),
    (r"^ar_predict_layer", "ar.output"),
    (r"^nar_predict_layers\.", "nar.outputs."),
    (r"self_attn\.in_proj_", "attention.qkv."),
    (r"self_attn\.out_proj", "attention.out"),
    (r"\.linear1\.", ".up."),
    (r"\.linear2\.", ".down."),
    (r"\.project_layer\.", ".project."),
]
_LEVEL = "nar_stage_embeddings.{}.word_embeddings.weight"


def published(obj: Mapping[str, Any], heads: int = 16, prefix_mode: int = 0) -> Checkpoint:
    """Translate a published `{"model": state_dict}`; the sizes are read off the weights.

    Two facts do not show in them: the number of heads and the prefix mode, 16 and 0 in the published model. The heads
    of a narrower NAR are narrowed with it. Raises CheckpointError for an object of another form.
    """
    state = obj.get("model") if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or "nar_predict_layers.0.weight" not in state:
        raise CheckpointError("This is no published USLM: it has no `model` with NAR layers.")
    levels = _count(state, _LEVEL)
    config = _config(state, levels, heads, prefix_mode)
    ours = {
        renamed(key, _NAMES): value.float()
        for key, value in state.items()
        if not key.startswith("nar_stage_embeddings.")
    }
    ours["nar.levels"] = torch.cat([state[_LEVEL.format(level)].float() for level in range(levels)])
    if config.share_embedding:
        for level in range(2, config.num_codebooks):
            ours[f"nar.audio.{level}.weight"] = ours[f"nar.outputs.{level - 2}.weight"]
    return Checkpoint(kind="uslm", config=config.to_dict(), state=ours)


def _config(state: Mapping[str, Tensor], levels: int, heads: int, prefix_mode: int) -> USLMConfig:
    text_size, dim = state["ar_text_embedding.word_embeddings.weight"].shape
    nar_dim = state["nar_text_embedding.word_embeddings.weight"].shape[1]
    size = len(state["nar_predict_layers.0.weight"])
    shared = (state[f"nar_audio_embeddings.{level + 2}.word_embeddings.weight"] for level in range(levels - 1))
    return USLMConfig(
        dim=dim,
        heads=heads,
        layers=_count(state, "ar_decoder.layers.{}.linear1.weight"),
        nar_dim=nar_dim,
        nar_heads=max(1, heads * nar_dim // dim),
        nar_layers=_count(state, "nar_decoder.layers.{}.linear1.weight"),
        norm_first="ar_decoder.norm.weight" in state,
        share_embedding=all(torch.equal(m, state[f"nar_predict_layers.{i}.weight"]) for i, m in enumerate(shared)),
        prefix_mode=prefix_mode,
        prepend_bos=len(state["ar_audio_embedding.word_embeddings.weight"]) == size + 2,
        num_codebooks=levels + 1,
        codebook_size=size,
        text_size=text_size,
    )


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    count = 0
    while pattern.format(count) in state:
        count += 1
    return count
