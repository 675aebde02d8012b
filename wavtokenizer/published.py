"""Translation of published checkpoints, the only place that knows their key names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint
from slmcore.files.encodec import translated
from wavtokenizer.config import WavTokenizerConfig

__all__ = ["published", "renamed"]

_SAMPLE_RATE = 24000
"""Sample rate of all published WavTokenizers, which the weights do not reveal, Hz."""
_CODEC = "feature_extractor.encodec."
_ENCODER = "encoder.model."
_EMBED = "feature_extractor.encodec.quantizer.vq.layers.0._codebook.embed"


def published(obj: Mapping[str, Any]) -> Checkpoint:
    """Translate a published `{'state_dict': ...}`; the sizes are inferred from the weights.

    Left out: weights that only training needs, the EnCodec decoder (never used), the inverse STFT's window
    (recomputed), and all but the first row of the adaptive norms (the published system always uses bandwidth 0, so that
    they are plain layer norms). Raises CheckpointError for an object of another form.
    """
    state = obj.get("state_dict") if isinstance(obj, Mapping) else None
    if not isinstance(state, Mapping) or _EMBED not in state:
        raise CheckpointError("This is not a published WavTokenizer: it has no `state_dict` with a codebook.")
    encoder = {k.removeprefix(_CODEC): v for k, v in state.items() if k.startswith(_CODEC + _ENCODER)}
    ours = translated(encoder)
    stages = _count(ours, _ENCODER + "{}.shortcut.weight", first=1, every=3)
    layers = _count(state, "backbone.convnext.{}.gamma")
    config = _config(ours, state, stages, layers)
    ours |= {new: _first_row(state, old).float() for new, old in _decoder_names(layers)}
    ours["quantizer.embed"] = state[_EMBED].float()
    return Checkpoint(kind="wavtokenizer", config=config.to_dict(), state=ours)


def _count(state: Mapping[str, Tensor], pattern: str, first: int = 0, every: int = 1) -> int:
    count = 0
    while pattern.format(first + every * count) in state:
        count += 1
    return count


def _config(encoder: Mapping[str, Tensor], state: Mapping[str, Tensor], stages: int, layers: int) -> WavTokenizerConfig:
    kernels = [encoder[f"{_ENCODER}{3 * i + 3}.weight"].shape[-1] for i in range(stages)]
    codebook_size, dimension = state[_EMBED].shape
    return WavTokenizerConfig(
        sample_rate=_SAMPLE_RATE,
        strides=tuple(kernel // 2 for kernel in kernels),
        n_filters=encoder[f"{_ENCODER}0.weight"].shape[0],
        dimension=dimension,
        codebook_size=codebook_size,
        decoder_dim=state["backbone.embed.weight"].shape[0],
        decoder_intermediate=state["backbone.convnext.0.pwconv1.weight"].shape[0],
        decoder_layers=layers,
        n_fft=state["head.out.weight"].shape[0] - 2,
    )


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our weights under the encoder's present names, which files from before version 0.2 do not have."""
    stages = _count(state, "encoder.stages.{}.down.weight")
    if not stages:
        return dict(state)
    present = {"stem": "0", "lstm": f"{3 * stages + 1}.lstm", "out": f"{3 * stages + 3}"}
    for i in range(stages):
        parts = {"narrow": "block.1", "widen": "block.3", "shortcut": "shortcut"}
        present |= {f"stages.{i}.{old}": f"{3 * i + 1}.{new}" for old, new in parts.items()}
        present[f"stages.{i}.down"] = f"{3 * i + 3}"
    pattern = re.compile(r"encoder\.(.+)\.(\w+)")

    def name(key: str) -> str:
        found = pattern.fullmatch(key)
        return f"{_ENCODER}{present[found[1]]}.{found[2]}" if found and found[1] in present else key

    return {name(key): value for key, value in state.items()}


def _decoder_names(layers: int) -> Iterator[tuple[str, str]]:
    """Yield (our name, published name) of every weight of the decoder."""
    pairs = {"embed": "backbone.embed", "final_norm": "backbone.final_layer_norm", "out": "head.out"}
    pairs["context.norm"] = "backbone.pos_net.5"
    for ours, theirs in {"before.0": 0, "before.1": 1, "after.0": 3, "after.1": 4}.items():
        for part in ("norm1", "conv1", "norm2", "conv2"):
            pairs[f"context.{ours}.{part}"] = f"backbone.pos_net.{theirs}.{part}"
    for ours, theirs in {"norm": "norm", "query": "q", "key": "k", "value": "v", "out": "proj_out"}.items():
        pairs[f"context.attention.{ours}"] = f"backbone.pos_net.2.{theirs}"
    for i in range(layers):
        for ours, theirs in {"depthwise": "dwconv", "up": "pwconv1", "down": "pwconv2"}.items():
            pairs[f"blocks.{i}.{ours}"] = f"backbone.convnext.{i}.{theirs}"
        yield f"decoder.blocks.{i}.scale", f"backbone.convnext.{i}.gamma"
    for ours, theirs in pairs.items():
        for kind in ("weight", "bias"):
            yield f"decoder.{ours}.{kind}", f"{theirs}.{kind}"
    adaptive = {"norm": "backbone.norm"} | {f"blocks.{i}.norm": f"backbone.convnext.{i}.norm" for i in range(layers)}
    for ours, theirs in adaptive.items():
        yield f"decoder.{ours}.weight", f"{theirs}.scale.weight"
        yield f"decoder.{ours}.bias", f"{theirs}.shift.weight"


def _first_row(state: Mapping[str, Tensor], name: str) -> Tensor:
    adaptive = name.endswith((".scale.weight", ".shift.weight"))
    return state[name][0] if adaptive else state[name]
