"""A TWIST zoo of random weights by the golden recipe, every file in its published format, small enough for any test."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import torch

from tests.reference import goldens, twist

K = 19
SIZES = {"350M": ("opt_post", 105), "7B": ("llama", 103)}
"""Golden and vocabulary of each variant."""


def _language_model(folder: Path, variant: str) -> None:
    """A zip of a folder, whose vocabulary ends with the last unit."""
    name, vocabulary = SIZES[variant]
    about = goldens.load_json("twist_lm_small")
    config = about["models"][name]["config"]
    size = config["offset"] + K
    shapes = twist.shapes_of(about, name).items()
    state = goldens.weights({key: [[size if n == vocabulary else n for n in shape], d] for key, (shape, d) in shapes})
    made = twist.folder_of(folder / f"TWIST-{variant}", {**config, "vocab_size": size}, state)
    with zipfile.ZipFile(folder / f"TWIST-{variant}.zip", "w") as archive:
        for file in made.iterdir():
            archive.write(file, f"TWIST-{variant}/{file.name}")


def _vocoder(folder: Path, variant: str, name: str) -> None:
    about = goldens.load_json("unit_hifigan_small")
    shapes = {k: [[K if n == 50 else n for n in shape], d] for k, (shape, d) in twist.shapes_of(about, variant).items()}
    torch.save({"generator": goldens.weights(shapes)}, folder / f"{name}.pt")
    config = {**about["variants"][variant]["config"], "num_embeddings": K}
    (folder / f"{name}.json").write_text(json.dumps(config))


def write(folder: Path) -> Path:
    """Write the files and their registry (zoo "tiny-twist"); the registry's path."""
    about, arrays = goldens.load("mhubert25_small")
    twist.mhubert_file(folder / "mhubert.pt", about)
    torch.save({"codebook": torch.from_numpy(arrays["centroids"])}, folder / "codebook.pt")
    for variant in SIZES:
        _language_model(folder, variant)
    _vocoder(folder, "twist", "lj")
    _vocoder(folder, "expresso", "expresso")
    (folder / "speakers.txt").write_text("".join(f"ex{i:02d}\n" for i in range(7)))
    point = {"encoder": "tiny", "layer": 11, "k": K, "frame_rate": 25.0}
    units = {**point, "lmbda": 0, "num_neighbors": K}
    rows = [
        {"kind": "mhubert", "file": "mhubert.pt", "encoder": "tiny", "frame_rate": 25.0},
        {"kind": "codebook", "file": "codebook.pt", **point},
        *({"kind": "twist_ulm", "variant": variant, "file": f"TWIST-{variant}.zip", **units} for variant in SIZES),
        {"kind": "unit_hifigan", "variant": "lj", "file": "lj.pt", **units},
        {"kind": "unit_hifigan_config", "variant": "lj", "file": "lj.json", **units},
        {"kind": "unit_hifigan", "variant": "expresso", "file": "expresso.pt", **units, "frame_rate": 50.0},
        {"kind": "unit_hifigan_config", "variant": "expresso", "file": "expresso.json", **units, "frame_rate": 50.0},
        {"kind": "unit_hifigan_speakers", "variant": "expresso", "file": "speakers.txt", **units},
    ]
    registry = folder / "zoo.json"
    about_zoo = {"format": "slmzoo-registry", "version": 1, "zoo": "tiny-twist", "system": "twist"}
    registry.write_text(json.dumps({**about_zoo, "rows": rows}))
    return registry
