"""The demo's codebook and operating point, and the units of the whole corpus for later models.

k-means on the features of one layer, with speaker directions projected out, then lambda for the target number of units
per second, then framewise units, int16 in `DATA/units/<split>/<voice>/<id>.npy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dpdp import DPDPQuantizer
from slmcore import audio
from slmcore.clustering import codebook
from slmcore.errors import must
from slmcore.files.places import write_bytes
from slmzoo.recipes.demo.common import DEMO, features_of, ship
from slmzoo.recipes.demo.encoder import shared
from slmzoo.training.data.feature_samples import encoder_features, npy
from slmzoo.training.tasks.codebook import CodebookSettings, train
from wavlm_codebooks import WavLM, wavlm

__all__ = ["encode", "make", "write_units"]

_LAYER = 4


def make(data: Path, runs: Path) -> None:
    """Fit the codebook and lambda, and write the demo's weights and the units."""
    # Only sentences spoken by every voice, so that all have the same weight.
    files = shared(data / "wavs")
    # On the same sentences voices differ in few of the 128 directions; unprojected, one voice has its own codes.
    clusters = {
        "k": (200,),
        "frame_fraction": 0.06,
        "speaker_directions": 12,
        "aligned_sentences": 200,
        "trials": 1,
        "seed": 7,
    }
    # Few neighbours put a high lower bound on the unit rate.
    units = {"rate": 22.0, "num_neighbors": 20, "rated_files": 300}
    where = {"run": runs / "codebook", "resume": True, "audio": [str(file) for file in files], "encoder_zoo": "demo"}
    train(CodebookSettings(**where, **clusters, **units, layer=_LAYER, save_half=True, batch=16))
    ship(runs / "codebook", "codebook.safetensors", units_per_second=units["rate"])
    write_units(audio.find(data / "wavs"), data)


def encode(encoder: WavLM, files: Sequence[Path], layer: int) -> list[Tensor]:
    """Yield the features of each file: (frames, dim)."""
    return features_of(files, encoder_features(encoder, layer))


def write_units(files: Sequence[Path], data: Path) -> None:
    """Quantise with the written codebook, and keep the framewise units of each file."""
    book = codebook.load(DEMO / "codebook.safetensors")
    point = book.operating_point
    if point is None or point.lmbda is None or point.layer is None:
        raise ValueError(must("operating_point", "in the codebook's file", point))
    quantizer = DPDPQuantizer(book.codes, point.lmbda, point.num_neighbors)
    features = encode(wavlm.load(DEMO / "wavlm.safetensors"), files, point.layer)
    for file, x in zip(files, features, strict=True):
        out = data / "units" / Path(*file.parts[-3:]).with_suffix(".npy")
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(out, npy(quantizer(x)[1].to(torch.int16)))
