"""Entry point of whole systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmzoo.signatures import PipelineOptions, written_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from slmzoo.pipeline import Pipeline

__all__ = ["pipeline"]


@written_out(PipelineOptions)
def pipeline(k: int | None = None, lmbda: float | None = None, **options: Unpack[PipelineOptions]) -> Pipeline:
    """The whole system at an operating point: encoder, quantiser, language model, ELLA-V and codec, as one module.

    `pipeline.units(wav, sr)` gives `Units`; `pipeline.loglikelihood(units)` or `(wav=wav, sr=sr)` a float in nats;
    `pipeline.resynthesize(wav, sr, num_samples=1)` a list of `Speech` with `.wav` (1, samples) and `.sample_rate`.
    Options: zoo, map_location, progress, registry; dtype (of all parts, e.g. torch.bfloat16); weights ("int8" or
    "int8-weight-only": those of the language model and of ELLA-V as bytes, for decoding on a CPU); with_ulm and
    with_speech (False leaves the language model, or ELLA-V and the codec, out); variant (the features of the zoo gslm,
    the language model of the zoo twist); synthesizer ("hifigan": a unit vocoder of the operating point in place of the
    system's own acoustic model).

    Example: `torch.hub.load("slmzoo/slmzoo", "pipeline", zoo="demo")`
    """
    from slmzoo import hub

    return hub.pipeline(k=k, lmbda=lmbda, **options)
