"""What windows cost in accuracy: features and units of long speech in windows of 30 s against those of one pass.

python benchmarks/long_audio.py AUDIO [AUDIO ...]      files that are joined to 120 s of speech
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import write
from slmcore import audio
from slmzoo import hub
from wavlm_codebooks.features import Windows

SECONDS = 120


def joined(paths: list[str]) -> torch.Tensor:
    """Mono speech at 16 kHz, (1, 120 s)."""
    parts: list[torch.Tensor] = []
    for file in audio.find(paths):
        wav, rate = audio.load(file)
        parts.append(audio.resample(wav, rate, 16000))
    wav = torch.cat(parts, 1)
    if wav.shape[1] < SECONDS * 16000:
        raise SystemExit(f"The files hold {wav.shape[1] / 16000:.0f} s of speech; {SECONDS} s are needed.")
    return wav[:, : SECONDS * 16000]


def compare(wav: torch.Tensor, zoo: str) -> dict[str, Any]:
    """Error of the features relative to their standard deviation, and the share of frames that keep their unit."""
    pipeline = hub.pipeline(zoo=zoo, with_ulm=False, with_speech=False)
    encoder, layer = pipeline.encoder, pipeline.operating_point.layer
    cut = encoder.features(wav, 16000, layer)
    encoder.windows = Windows(whole=10 * SECONDS)
    whole = encoder.features(wav, 16000, layer)
    nearest = [torch.cdist(x, pipeline.quantizer.codebook).argmin(1) for x in (cut, whole)]
    dpdp = [pipeline.quantizer(x)[1] for x in (cut, whole)]
    error = (cut - whole).abs() / whole.std()
    return {
        "seconds": SECONDS,
        "zoo": zoo,
        "features_mean_error_over_std": float(error.mean()),
        "features_99_percentile_error_over_std": float(error.flatten()[::7].quantile(0.99)),
        "share_of_frames_that_keep_their_nearest_code": float((nearest[0] == nearest[1]).double().mean()),
        "share_of_frames_that_keep_their_dpdp_unit": float((dpdp[0] == dpdp[1]).double().mean()),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", nargs="+")
    parser.add_argument("--zoo", default="demo")
    arguments = parser.parse_args()
    write("long_audio", compare(joined(arguments.audio), arguments.zoo))
