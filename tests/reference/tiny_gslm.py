"""A GSLM zoo of random weights by the golden recipe, every file in its published format, small enough for any test.

Its encoder is the small WavLM of the goldens under the name of HuBERT: a zoo says itself what its features are.
"""

from __future__ import annotations

import json
import tarfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import joblib
import torch
from sklearn.cluster import MiniBatchKMeans

from tests.reference import goldens, gslm
from tests.reference.recipe import recipe_state
from tests.reference.wavlm import published_checkpoint

K, LAYER, MELS = 20, 3, 80
ORDER = [7, 3, 19, 0, 11, 5, 1, 18, 2, 4, 6, 8, 9, 10, 12, 13, 14, 15, 16, 17]


def _shapes(name: str, changes: dict[str, list[int]]) -> dict[str, list]:
    held = goldens.load_json(name)["state_dict"]
    return {key: [changes.get(key, shape), dtype] for key, (shape, dtype) in held.items()}


def ulm_content() -> dict[str, Any]:
    """A language model of K units and four fillers."""
    changes = {gslm.EMBEDDING: [K + 8, 64], gslm.OUTPUT: [K + 8, 64]}
    args = goldens.load_json("gslm_ulm_small")["args"] | {"tokens_per_sample": 512}
    state = goldens.weights(_shapes("gslm_ulm_small", changes), {"decoder.version": torch.tensor([3.0])})
    return {"args": Namespace(**args), "cfg": None, "model": state | {gslm.OUTPUT: state[gslm.EMBEDDING]}}


def dictionary() -> str:
    lines = [f"{unit} {100 - place}" for place, unit in enumerate(ORDER)]
    return "\n".join([*lines, *(f"madeupword{i:04d} 0" for i in range(4))]) + "\n"


def tacotron_content() -> dict[str, Any]:
    """A Tacotron of K units and an end, with as many mel bands as the WaveGlow has."""
    changes: dict[str, list[int]] = {
        "embedding.weight": [K + 2, 24],
        "decoder.prenet.layers.0.linear_layer.weight": [16, MELS],
        "decoder.linear_projection.linear_layer.weight": [MELS, 64],
        "decoder.linear_projection.linear_layer.bias": [MELS],
        "postnet.convolutions.0.0.conv.weight": [20, MELS, 5],
        "postnet.convolutions.4.0.conv.weight": [MELS, 20, 5],
        "postnet.convolutions.4.0.conv.bias": [MELS],
    }
    changes |= {
        f"postnet.convolutions.4.1.{name}": [MELS] for name in ("weight", "bias", "running_mean", "running_var")
    }
    content = gslm.tacotron_content("gslm_tacotron_small", shapes=_shapes("gslm_tacotron_small", changes))
    content["hparams"] = Namespace(**content["hparams"] | {"n_mel_channels": MELS, "gate_threshold": 0.5})
    # The gate opens after some frames: its bias is low, and what it reads is louder.
    content["model_dict"]["decoder.gate_layer.linear_layer.bias"] -= 0.36
    return content


def write(folder: Path) -> Path:
    """Write the files and their registry (zoo "tiny-gslm", features "hubert", one k); the registry's path."""
    torch.save(published_checkpoint(), folder / "encoder.pt")
    codes = recipe_state({"codebook": ((K, 64), "float32")})["codebook"] * 8
    kmeans = MiniBatchKMeans(K)
    kmeans.cluster_centers_ = codes.numpy()
    joblib.dump(kmeans, folder / "km.bin")
    lm = folder / "lm_km20"
    lm.mkdir()
    torch.save(ulm_content(), lm / "checkpoint_best.pt")
    (lm / "dict.txt").write_text(dictionary())
    with tarfile.open(folder / "hubert20_lm.tgz", "w:gz") as archive:
        archive.add(lm, "lm_km20")
    torch.save(tacotron_content(), folder / "tts_checkpoint_best.pt")
    (folder / "code_dict").write_text("".join(f"{unit}\n" for unit in ORDER))
    torch.save(gslm.waveglow_content("gslm_waveglow_small"), folder / "waveglow.pt")
    units = {"variant": "hubert", "k": K, "layer": LAYER, "encoder": "tiny", "frame_rate": 50.0}
    models = {**units, "lmbda": 0.0, "num_neighbors": K}
    rows = [
        {"kind": "wavlm", "variant": "hubert", "file": "encoder.pt", "encoder": "tiny"},
        {"kind": "gslm_codebook", "file": "km.bin", **units},
        {"kind": "gslm_ulm", "file": "hubert20_lm.tgz", **models},
        {"kind": "gslm_tacotron", "file": "tts_checkpoint_best.pt", **models},
        {"kind": "gslm_codes", "file": "code_dict", **models},
        {"kind": "waveglow", "file": "waveglow.pt"},
    ]
    registry = folder / "zoo.json"
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "tiny-gslm", "system": "gslm"}
    registry.write_text(json.dumps({**about, "rows": rows}))
    return registry
