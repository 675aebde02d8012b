"""WavLM's odd corners, written out slowly and apart from the project's code, and models made by the recipe."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from tests.reference.recipe import golden_json, recipe_state
from wavlm_codebooks.wavlm import WavLM, published


def relative_bucket(offset: int, num_buckets: int, max_distance: int) -> int:
    """T5's rule for one key position minus query position, both directions."""
    half = num_buckets // 2
    start = half if offset > 0 else 0
    distance = abs(offset)
    exact = half // 2
    if distance < exact:
        return start + distance
    # float32, as the published code computes it: it decides on which side of a border a distance falls.
    steps = np.log(np.float32(distance) / np.float32(exact)) / np.float32(math.log(max_distance / exact))
    return start + min(half - 1, exact + int(steps * np.float32(half - exact)))


def gated_bias(x: torch.Tensor, table: torch.Tensor, grep: nn.Linear, scale: torch.Tensor, far: int) -> torch.Tensor:
    """The bias on one utterance's scores, pair by pair: `x` (T, dim), `table` (buckets, heads) -> (heads, T, T)."""
    frames, heads = len(x), table.shape[1]
    width = x.shape[1] // heads
    bias = torch.empty(heads, frames, frames)
    for head in range(heads):
        for query in range(frames):
            eight = grep(x[query, head * width : (head + 1) * width])
            a, b = torch.sigmoid(eight[:4].sum()), torch.sigmoid(eight[4:].sum())
            gate = a * (b * scale[head] - 1) + 2
            for key in range(frames):
                bias[head, query, key] = gate * table[relative_bucket(key - query, len(table), far), head]
    return bias


def published_checkpoint(name: str = "wavlm_small", seed: int = 7) -> dict:
    """The golden's model as a published file holds it."""
    golden = golden_json(name)
    return {"cfg": golden["cfg"], "model": recipe_state(golden["state_dict"], seed)}


def small_model() -> WavLM:
    return WavLM.from_checkpoint(published(published_checkpoint()))


def noise(samples: int, seed: int = 7) -> torch.Tensor:
    """0.1 times the goldens' normal noise: float32 (1, samples)."""
    return torch.from_numpy(0.1 * np.random.RandomState(seed).standard_normal(samples)).float()[None]
