"""Fitting of lambda to a wanted number of units per second, on a sample of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dpdp import DPDPQuantizer, fit_lmbda
from slmcore.errors import must
from slmzoo.corpus.items import Item, load
from slmzoo.pipeline import Pipeline

__all__ = ["SAMPLE_ITEMS", "SAMPLE_SECONDS", "fitted"]

SAMPLE_ITEMS, SAMPLE_SECONDS = 32, 20.0
"""Size of the sample: items, evenly spread over the corpus, and seconds from the beginning of each."""


@torch.no_grad()
def fitted(items: Sequence[Item], pipeline: Pipeline, units_per_second: float) -> float:
    """Return lambda, to six digits, for `units_per_second` with the pipeline's encoder, codebook and neighbours.

    Unreadable items are skipped. Raises ValueError if all are, or if the rate is out of reach.
    """
    features = []
    for item in _spread(items):
        try:
            wav, sr = load(item)
        except (OSError, ValueError):
            continue
        features.append(pipeline.features(wav[:, : round(SAMPLE_SECONDS * sr)], sr))
    if not features:
        raise ValueError("No input can be read, so lambda cannot be fitted to a rate.")
    quantizer = pipeline.quantizer
    if not isinstance(quantizer, DPDPQuantizer):
        raise ValueError(must("rate", "left out for a quantiser without a duration penalty", units_per_second))
    lmbda = fit_lmbda(
        features,
        quantizer.codebook,
        units_per_second,
        num_neighbors=quantizer.num_neighbors,
        frame_rate=pipeline.frame_rate,
    )
    return float(f"{lmbda:.6g}")


def _spread(items: Sequence[Item]) -> list[Item]:
    number = min(SAMPLE_ITEMS, len(items))
    return [items[i * len(items) // number] for i in range(number)]
