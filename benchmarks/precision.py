"""Effect of bfloat16 and int8 weights on the demo: `python benchmarks/precision.py [AUDIO ...]`.

The language model's bits per unit, and how often ELLA-V's likeliest next token is that of float32, teacher-forced.
Speech of the demo's voice; without arguments the sample.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import write
from slmcore import audio
from slmzoo import hub
from slmzoo.pipeline import Pipeline

VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"dtype": torch.bfloat16},
    "int8": {"weights": "int8"},
    "int8-weight-only": {"weights": "int8-weight-only"},
}


@torch.inference_mode()
def materials(pipeline: Pipeline, files: list[Path]) -> tuple[list[Tensor], list[Tensor]]:
    """Ids for the language model, and training sequences for ELLA-V, of each file, all made in float32."""
    speaker = pipeline.synthesizer
    if pipeline.tokenizer is None or speaker is None:
        raise SystemExit("the demo has no language model or no ELLA-V")
    scored, spoken = [], []
    for file in files:
        wav, rate = audio.load(file)
        units = pipeline.units(wav, rate)
        scored.append(pipeline.tokenizer.encode(units.units))
        names = [f"u{unit}" for unit in units.framewise().tolist()]
        spoken.append(speaker.ellav.tokenizer.encode_train(names, speaker.codec.encode(wav, rate).flatten().cpu()))
    return scored, spoken


@torch.inference_mode()
def likeliest(pipeline: Pipeline, sequences: list[Tensor]) -> Tensor:
    """ELLA-V's likeliest token at each unconstrained position."""
    ellav = pipeline.synthesizer.ellav  # pyright: ignore[reportOptionalMemberAccess]
    best = [ellav(ids[None])[0, :-1].argmax(-1)[ellav.tokenizer.loss_mask(ids)[1:]] for ids in sequences]
    return torch.cat(best)


def main() -> None:
    sources = sys.argv[1:] or [str(Path(__file__).parents[1] / "examples" / "sample.wav")]
    files = [file for source in sources for file in audio.find(source)]
    exact = hub.pipeline(zoo="demo")
    scored, spoken = materials(exact, files)
    units, reference = sum(len(ids) - 1 for ids in scored), likeliest(exact, spoken)
    results: dict[str, Any] = {"files": len(files), "units": units, "codec_tokens": len(reference)}
    for name, options in VARIANTS.items():
        pipeline = hub.pipeline(zoo="demo", **options)
        nats = sum(pipeline.ulm.loglikelihoods(scored))  # pyright: ignore[reportOptionalMemberAccess]
        agrees = (likeliest(pipeline, spoken) == reference).float().mean()
        results[name] = {"bits_per_unit": -nats / math.log(2) / units, "greedy_agreement": float(agrees)}
    write("precision", results)


if __name__ == "__main__":
    main()
