"""Published files of TWIST with weights by the goldens' recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.reference import goldens


def mhubert_state(about: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    exceptions = {
        "*.running_var": torch.exp,
        "*.num_batches_tracked": torch.tensor(1000),
        "*.self_attn.out_proj.weight": lambda made: 0.25 * made,
    }
    return goldens.weights(about["state_dict"], exceptions)


def mhubert_file(path: Path, about: Mapping[str, Any]) -> Path:
    """fairseq's checkpoint, settings as plain dicts."""
    torch.save({"args": None, "cfg": about["cfg"], "model": mhubert_state(about)}, path)
    return path


def mhubert_folder(folder: Path, about: Mapping[str, Any]) -> Path:
    """The folder of transformers."""
    folder.mkdir()
    names = about["transformers_keys"]
    state = {names[key]: value for key, value in mhubert_state(about).items() if key in names}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(about["transformers_config"]))
    return folder


def shapes_of(about: Mapping[str, Any], variant: str) -> dict[str, list]:
    """The part of a golden's `state_dict` whose keys are `variant: name`."""
    prefix = f"{variant}: "
    return {key.removeprefix(prefix): value for key, value in about["state_dict"].items() if key.startswith(prefix)}


def folder_of(folder: Path, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> Path:
    """A language model's folder of transformers."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(dict(state), folder / "pytorch_model.bin")
    return folder
