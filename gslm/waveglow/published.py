"""The published file of WaveGlow: `hparams` and `model_dict`, by NVIDIA's key names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gslm.waveglow.config import WaveGlowConfig
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, fold_weight_norm

__all__ = ["published"]

_CACHED = ".W_inverse"
"""Inverse matrices that the published class keeps among its parameters after the first use."""
_EARLY = {"early_every": 4, "early_size": 2}
"""Settings that the weights do not show, with the published values."""


def published(obj: Any) -> Checkpoint:
    """Translate `{"hparams", "model_dict"}`; sizes are read off the weights. CheckpointError for another object."""
    state = obj.get("model_dict") if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or "upsample.weight" not in state:
        raise CheckpointError("This is no WaveGlow: it has no `model_dict` with upsample.weight.")
    hparams = obj.get("hparams")
    ours = {_ours(key): value for key, value in fold_weight_norm(_plain(state)).items() if not key.endswith(_CACHED)}
    ours = {key: value.squeeze(-1) if key.startswith("mixings.") else value for key, value in ours.items()}
    try:
        config = _config(ours, dict(hparams) if isinstance(hparams, Mapping) else {})
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"The WaveGlow has no {error.args[0]}.") from error
    return Checkpoint(kind="waveglow", config=config.to_dict(), state=ours)


def _plain(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _ours(key: str) -> str:
    key = re.sub(r"^WN\.", "couplings.", key)
    return re.sub(r"^convinv\.(\d+)\.conv\.", r"mixings.\1.", key)


def _config(ours: Mapping[str, Tensor], hparams: Mapping[str, Any]) -> WaveGlowConfig:
    mels, _, window = ours["upsample.weight"].shape
    channels, _, kernel = ours["couplings.0.in_layers.0.weight"].shape
    layers = sum(bool(re.fullmatch(r"couplings\.0\.in_layers\.\d+\.weight", key)) for key in ours)
    early = {name: int(hparams.get(f"n_{name}", value)) for name, value in _EARLY.items()}
    return WaveGlowConfig(
        mels=mels,
        window=window,
        flows=sum(bool(re.fullmatch(r"mixings\.\d+\.weight", key)) for key in ours),
        group=len(ours["mixings.0.weight"]),
        layers=layers,
        channels=channels // 2,
        kernel=kernel,
        **early,
    )
