"""SpeechTokenizer and SoundStream with weights by the golden recipe, in the published formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from tests.reference import goldens

CODEBOOK = "quantizer.vq.layers.{}._codebook.embed"


def speechtokenizer_folder(folder: Path, about: dict, arrays: dict[str, np.ndarray], variant: str) -> Path:
    """The weights by recipe and their config.json, as published."""
    shapes, config = (about["variants"][variant][key] for key in ("state_dict", "config"))
    state = goldens.weights(
        shapes,
        {
            "*.inited": torch.ones(1),
            "*.cluster_size": torch.ones(config["codebook_size"]),
            "*.alpha": lambda made: 1 + 0.1 * made * made.shape[1] ** 0.5,
        },
    )
    for level in range(config["n_q"]):
        prefix = CODEBOOK.format(level)
        scale, mean = (torch.from_numpy(arrays[f"{variant}/codebook_{name}"][level]) for name in ("scale", "mean"))
        state[prefix] = state[prefix] * config["dimension"] ** 0.5 * scale + mean
        state[prefix + "_avg"] = state[prefix]
    folder.mkdir()
    torch.save(state, folder / "SpeechTokenizer.pt")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def soundstream_file(path: Path, about: dict, arrays: dict[str, np.ndarray], flat: bool) -> Path:
    """The weights by recipe, as published: flat, or as Lightning writes them."""
    state = goldens.weights(
        about["state_dict"],
        {"*.inited": torch.ones(1), "*.cluster_size": torch.ones_like},
    )
    for level in range(about["n_q"]):
        scale, mean = (torch.from_numpy(arrays[f"codebook_{name}"][level]) for name in ("scale", "mean"))
        embed = state[CODEBOOK.format(level)] * about["config"]["D"] ** 0.5 * scale + mean
        state |= {CODEBOOK.format(level): embed, CODEBOOK.format(level) + "_avg": embed}
    torch.save(state if flat else {"state_dict": state, "epoch": 1}, path)
    return path
