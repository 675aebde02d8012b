"""A GSLM zoo with all four kinds of features, of random weights by the golden recipe, in the published formats."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import numpy as np
import sklearn.cluster
import torch

import hubconf
from slmzoo import hub
from tests.reference import goldens, tiny_gslm
from tests.reference.gslm_encoders import cpc_content, hubert_content, save_hubert, w2v2_content

K = tiny_gslm.K
FEATURES = {"hubert": (64, 6, 50.0), "w2v2": (32, 15, 50.0), "cpc": (32, 2, 100.0), "logmel": (80, None, 100.0)}
"""Width, layer and frames per second of each."""
KINDS = {"hubert": "hubert", "w2v2": "wav2vec2", "cpc": "cpc", "logmel": "log_mel"}


def rows_of(features: str) -> list[dict]:
    """Rows of all models of some features, and of the files that they share."""
    _, layer, rate = FEATURES[features]
    encoder = {"variant": features, "encoder": KINDS[features], "frame_rate": rate}
    units = {**encoder, "k": K, **({} if layer is None else {"layer": layer})}
    models = {**units, "lmbda": 0.0, "num_neighbors": K}
    return [
        {"kind": KINDS[features], "file": f"{features}.encoder", **encoder},
        {"kind": "gslm_codebook", "file": f"{features}.bin", **units},
        {"kind": "gslm_ulm", "file": "hubert20_lm.tgz", **models},
        {"kind": "gslm_tacotron", "file": "tts_checkpoint_best.pt", **models},
        {"kind": "gslm_codes", "file": "code_dict", **models},
    ]


def write(folder: Path) -> Path:
    """Write the files and their registry (zoo "four"); the registry's path."""
    tiny_gslm.write(folder)
    save_hubert(folder / "hubert.encoder", hubert_content("gslm_hubert_small"))
    torch.save(w2v2_content("gslm_w2v2_small"), folder / "w2v2.encoder")
    torch.save(cpc_content("gslm_cpc_small"), folder / "cpc.encoder")
    hubconf.log_mel()[0].save_pretrained(folder / "made")
    (folder / "made" / "model.safetensors").replace(folder / "logmel.encoder")
    wav, rate = goldens.speech()
    rows = [row for features in FEATURES for row in rows_of(features)] + [{"kind": "waveglow", "file": "waveglow.pt"}]
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "four", "system": "gslm"}
    (folder / "four.json").write_text(json.dumps({**about, "rows": rows}))
    for features in FEATURES:
        encoder = hub.encoder(variant=features, zoo="four", registry=folder / "four.json")
        frames = encoder.features(wav, rate)
        kmeans = sklearn.cluster.MiniBatchKMeans(K)
        kmeans.cluster_centers_ = frames[:: len(frames) // K][:K].numpy().astype(np.float32)
        joblib.dump(kmeans, folder / f"{features}.bin")
    return folder / "four.json"
