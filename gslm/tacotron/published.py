"""The published files of Tacotron 2: `hparams` and `model_dict`, by NVIDIA's key names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gslm.tacotron.config import TacotronConfig
from slmcore.errors import CheckpointError, must
from slmcore.files.checkpoint import Checkpoint, renamed

__all__ = ["published"]

#: Patterns of published keys and their replacements, tried in turn.
_NAMES = [
    (r"^obs_embedding\.", "observed."),
    (r"\.linear_layer\.", "."),
    (r"\.(\d+)\.0\.conv\.", r".\1.conv."),
    (r"\.(\d+)\.1\.", r".\1.norm."),
    (r"\.prenet\.layers\.", ".prenet."),
    (r"\.attention_layer\.location_layer\.location_conv\.conv\.", ".attention.location_conv."),
    (r"\.attention_layer\.location_layer\.", ".attention."),
    (r"\.attention_layer\.(query|memory)_layer\.", r".attention.\1."),
    (r"\.attention_layer\.", ".attention."),
    (r"\.linear_projection\.", ".projection."),
    (r"\.gate_layer\.", ".gate."),
]
_FLAGS = {"add_sos": "add_sos", "add_eos": "add_eos", "collapse_code": "collapse"}


def published(obj: Any) -> Checkpoint:
    """Translate `{"hparams", "model_dict"}`; sizes are read off the weights, the other settings off the hparams.

    `tokenizer` holds the hparams' settings of the table of input ids, without its lines. Weights and settings of
    training alone are left out. Raises CheckpointError for any other object.
    """
    state = obj.get("model_dict") if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or "decoder.attention_rnn.weight_ih" not in state:
        raise CheckpointError("This is no Tacotron 2: it has no `model_dict` with decoder.attention_rnn.weight_ih.")
    hparams = _settings(obj.get("hparams"))
    ours = {renamed(key, _NAMES): tensor for key, tensor in state.items() if not key.startswith("lat_encoder.")}
    try:
        config = _config(ours, hparams)
    except KeyError as error:
        raise CheckpointError(f"The Tacotron 2 has no {error.args[0]}.") from error
    table = {name: bool(hparams.get(key, False)) for key, name in _FLAGS.items()} | {"rows": config.symbols}
    return Checkpoint(kind="gslm_tacotron", config=config.to_dict(), state=ours, tokenizer=table)


def _settings(hparams: Any) -> dict[str, Any]:
    found = dict(hparams) if isinstance(hparams, Mapping) else dict(getattr(hparams, "__dict__", {}))
    if found.get("text_or_code", "code") != "code":
        raise CheckpointError(must("text_or_code", "'code' in a Tacotron 2 for units", found["text_or_code"]))
    if found.get("n_frames_per_step", 1) != 1:
        raise CheckpointError(must("n_frames_per_step", "1", found["n_frames_per_step"]))
    return found


def _config(ours: Mapping[str, Tensor], hparams: Mapping[str, Any]) -> TacotronConfig:
    symbols, symbol_dim = ours["embedding.weight"].shape
    encoder_dim = 2 * ours["encoder.lstm.weight_hh_l0"].shape[1]
    attention_rnn_dim = ours["decoder.attention_rnn.weight_hh"].shape[1]
    observed = ours["observed.weight"].shape if "observed.weight" in ours else (0, 0)
    attributes = ours["decoder.decoder_rnn.weight_ih"].shape[1] - attention_rnn_dim - encoder_dim
    filters, _, location_kernel = ours["decoder.attention.location_conv.weight"].shape
    return TacotronConfig(
        symbols=symbols,
        symbol_dim=symbol_dim,
        encoder_dim=encoder_dim,
        encoder_convolutions=_count(ours, "encoder"),
        encoder_kernel=_kernel(ours, "encoder"),
        attention_rnn_dim=attention_rnn_dim,
        attention_dim=ours["decoder.attention.v.weight"].shape[1],
        location_filters=filters,
        location_kernel=location_kernel,
        decoder_rnn_dim=ours["decoder.decoder_rnn.weight_hh"].shape[1],
        prenet_dim=len(ours["decoder.prenet.0.weight"]),
        mels=len(ours["decoder.projection.bias"]),
        postnet_dim=len(ours["postnet.convolutions.0.conv.bias"]),
        postnet_convolutions=_count(ours, "postnet"),
        postnet_kernel=_kernel(ours, "postnet"),
        observed_classes=observed[0],
        observed_dim=observed[1],
        latent_dim=attributes - observed[1],
        gate_threshold=float(hparams.get("gate_threshold", 0.5)),
        sample_rate=int(hparams.get("sampling_rate", 22050)),
    )


def _count(ours: Mapping[str, Tensor], part: str) -> int:
    return sum(bool(re.fullmatch(rf"{part}\.convolutions\.\d+\.conv\.weight", key)) for key in ours)


def _kernel(ours: Mapping[str, Tensor], part: str) -> int:
    return ours[f"{part}.convolutions.0.conv.weight"].shape[-1]
