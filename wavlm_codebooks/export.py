"""Export of WavLM to the transformers library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wavlm_codebooks.config import WavLMConfig

if TYPE_CHECKING:
    from wavlm_codebooks.wavlm import WavLM

__all__ = ["to_transformers"]

_RENAMED = (
    (r"^mask_embedding$", "masked_spec_embed"),
    (r"^frontend\.(\d+)\.weight$", r"feature_extractor.conv_layers.\1.conv.weight"),
    (r"^frontend\.(\d+)\.norm\.", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"^input_norm\.", "feature_projection.layer_norm."),
    (r"^input_proj\.", "feature_projection.projection."),
    (r"^output_norm\.", "encoder.layer_norm."),
    (r"^position_conv\.", "encoder.pos_conv_embed.conv."),
    (r"^position_bias\.weight$", "encoder.layers.0.attention.rel_attn_embed.weight"),
    (r"^blocks\.(\d+)\.attention_norm\.", r"encoder.layers.\1.layer_norm."),
    (r"^blocks\.(\d+)\.ffn_norm\.", r"encoder.layers.\1.final_layer_norm."),
    (r"^blocks\.(\d+)\.fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (r"^blocks\.(\d+)\.fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (r"^blocks\.(\d+)\.attention\.gate_proj\.", r"encoder.layers.\1.attention.gru_rel_pos_linear."),
    (r"^blocks\.(\d+)\.attention\.gate_scale$", r"encoder.layers.\1.attention.gru_rel_pos_const"),
    (r"^blocks\.(\d+)\.attention\.", r"encoder.layers.\1.attention."),
)
_POSITION = "encoder.pos_conv_embed.conv."


def to_transformers(model: WavLM) -> Any:
    """Return the encoder as a `transformers.WavLMModel`, on the CPU, in float32 and evaluation mode.

    transformers does not pad the waveform: for equal features pad it with `(model.config.field - model.config.hop) //
    2` zeros at each end. Its `hidden_states[n]` is `layer=n` here, its `last_hidden_state` is `layer=None`. Raises
    ImportError without transformers.
    """
    try:
        from transformers import WavLMModel
    except ImportError as error:
        raise ImportError("to_transformers needs the library: pip install transformers.") from error
    made = WavLMModel(_config(model.config))
    made.load_state_dict(_state(model))
    return made.eval()


def _config(config: WavLMConfig) -> Any:
    from transformers import WavLMConfig as TransformersConfig

    channels, kernels, strides = zip(*config.conv_layers, strict=True)
    return TransformersConfig(
        hidden_size=config.dim,
        intermediate_size=config.ffn_dim,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        conv_dim=list(channels),
        conv_kernel=list(kernels),
        conv_stride=list(strides),
        conv_bias=False,
        num_conv_pos_embeddings=config.conv_pos,
        num_conv_pos_embedding_groups=config.conv_pos_groups,
        num_buckets=config.num_buckets,
        max_bucket_distance=config.max_distance,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        apply_spec_augment=False,
    )


def _state(model: WavLM) -> dict[str, Tensor]:
    found = {_rename(key): tensor.detach().cpu().float() for key, tensor in model.state_dict().items()}
    # Weight norm over all axes but the kernel's: g v / ||v||, with v the weight itself.
    weight = found.pop(_POSITION + "weight")
    found[_POSITION + "parametrizations.weight.original0"] = torch.linalg.vector_norm(weight, dim=(0, 1), keepdim=True)
    found[_POSITION + "parametrizations.weight.original1"] = weight
    return found


def _rename(key: str) -> str:
    for pattern, name in _RENAMED:
        changed = re.sub(pattern, name, key)
        if changed != key:
            return changed
    return key
