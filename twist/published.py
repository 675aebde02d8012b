"""The published files of unit vocoders: weights as `{"generator": ...}`, a config.json, names of voices and styles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, fold_weight_norm
from slmcore.files.huggingface import read_json
from twist.vocoder_config import VocoderConfig

__all__ = ["NAMES", "config_beside", "names_in", "published", "read_config"]

NAMES = {"speakers": "names of speakers", "styles": "names of styles"}
"""Keys under which names are added to the content of config.json."""

#: Published key of the config -> ours; all must be there.
_NEEDED = {
    "num_embeddings": "num_units",
    "embedding_dim": "dim",
    "upsample_rates": "rates",
    "upsample_kernel_sizes": "kernels",
    "upsample_initial_channel": "channels",
    "resblock_kernel_sizes": "block_kernels",
    "resblock_dilation_sizes": "block_dilations",
}
_LAYERS = 3
"""Dilated layers of a block; published code ignores further ones."""
#: Beginning of a published key of the weights -> ours.
_TABLES = {
    "dict.": "frames.units.",
    "spkr.": "frames.speakers.",
    "style.": "frames.styles.",
    "f0_quant_embed.": "frames.f0.",
    "dur_predictor.conv1.0.": "durations.conv1.",
    "dur_predictor.conv2.0.": "durations.conv2.",
    "dur_predictor.": "durations.",
}


def published(obj: Any, config: Mapping[str, Any] | None = None) -> Checkpoint:
    """Translate a published generator with its `config`, the content of its config.json and `NAMES` if known.

    Raises CheckpointError for a file of another kind, and for a config that is not given, lacks a key or contradicts
    itself.
    """
    if not isinstance(obj, Mapping) or not isinstance(obj.get("generator"), Mapping):
        held = sorted(map(str, obj))[:5] if isinstance(obj, Mapping) else type(obj).__name__
        raise CheckpointError(f"A published unit vocoder holds its weights as `generator`, but this file holds {held}.")
    if config is None:
        raise CheckpointError(
            "A published unit vocoder needs its config.json, which holds its sizes. Put it beside the weights, as "
            "config.json or NAME_config.json, or give `config=`."
        )
    state: Mapping[str, Tensor] = obj["generator"]
    has_durations = any(key.startswith("dur_predictor.") for key in state)
    sizes = _sizes(config, has_durations)
    # Files of names may accompany vocoders of a single speaker too.
    sizes |= {kinds: tuple(config.get(key, ())) for kinds, key in NAMES.items() if sizes.get(f"num_{kinds}")}
    found = VocoderConfig.from_dict(sizes)
    _check_width(config, found)
    weights = {_renamed(key, len(found.block_kernels)): value for key, value in fold_weight_norm(state).items()}
    return Checkpoint(kind="unit_hifigan", config=found.to_dict(), state=weights)


def config_beside(file: Path) -> dict[str, Any] | None:
    """Return the content of NAME_config.json or config.json beside the weights NAME.pt; None without either.

    Names in speakers.txt and styles.txt beside them are added, by the keys `NAMES`.
    """
    paths = (file.with_name(f"{file.stem}_config.json"), file.with_name("config.json"))
    config = next((path for path in paths if path.is_file()), None)
    if config is None:
        return None
    beside = {kinds: file.with_name(f"{kinds}.txt") for kinds in NAMES}
    return read_config(config, **{kinds: path for kinds, path in beside.items() if path.is_file()})


def read_config(config: Path, **names: Path) -> dict[str, Any]:
    """Return the content of a config.json, with the names in the files `speakers` and `styles` by the keys `NAMES`.

    Raises CheckpointError if it is no JSON object, FileNotFoundError without the file.
    """
    return {**read_json(config), **{NAMES[kinds]: names_in(path) for kinds, path in names.items()}}


def names_in(path: Path) -> tuple[str, ...]:
    """Return the names in speakers.txt or styles.txt, one a line, first row of the table first."""
    return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())


def _sizes(config: Mapping[str, Any], has_durations: bool) -> dict[str, Any]:
    sizes = {ours: _value(config, key) for key, ours in _NEEDED.items()}
    sizes["block_dilations"] = tuple(tuple(each[:_LAYERS]) for each in sizes["block_dilations"])
    sizes["sample_rate"] = config.get("sampling_rate", 16000)
    # Any true value, the word "single" too, turns the table of speakers on.
    if config.get("embedder_params"):
        sizes["speaker_dim"] = config.get("embedder_dim", 256)
    elif config.get("multispkr"):
        sizes["num_speakers"] = config.get("num_speakers", 200)
    if config.get("multistyle"):
        sizes["num_styles"] = config.get("num_styles", 100)
    if config.get("f0"):
        sizes |= {"f0": True, "f0_bins": config.get("f0_quant_num_bin") or 0}
    predictor = config.get("dur_predictor_params")
    if predictor and has_durations:
        sizes["duration_width"] = _value(predictor, "var_pred_hidden_dim", "dur_predictor_params.")
        sizes["duration_kernel"] = _value(predictor, "var_pred_kernel_size", "dur_predictor_params.")
    return sizes


def _value(config: Mapping[str, Any], key: str, prefix: str = "") -> Any:
    if key not in config:
        raise CheckpointError(f"The vocoder's config.json lacks `{prefix}{key}`. Download it again.")
    return config[key]


def _check_width(config: Mapping[str, Any], found: VocoderConfig) -> None:
    width = config.get("model_in_dim", found.in_channels)
    if width != found.in_channels:
        raise CheckpointError(
            f"The vocoder's config.json says that a frame is {width} wide (`model_in_dim`), but what it names (unit, "
            f"f0, speaker, style) makes {found.in_channels}. It is the config of another vocoder, or of another kind."
        )


def _renamed(key: str, kernels: int) -> str:
    for old, new in _TABLES.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    match = re.match(r"resblocks\.(\d+)\.", key)
    if match is None:
        return f"generator.{key}"
    stage, block = divmod(int(match[1]), kernels)
    return f"generator.resblocks.{stage}.{block}.{key[match.end() :]}"
