"""Invariance of the demo's units to rate and voice: `python -m slmzoo.recipes.demo.measure_units`.

Two recordings are compared by the edit distance of their units, repeats joined, over the longer of the two. A sentence
spoken in two ways should be nearer to itself than to another sentence spoken the second way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from simple_parsing import parse

from dpdp import DPDPQuantizer, fit_lmbda
from slmcore import audio
from slmcore.clustering import kmeans
from slmzoo.recipes.demo.codebook import encode
from slmzoo.recipes.demo.common import DEMO
from wavlm_codebooks import WavLM, wavlm

__all__ = ["compare_layers", "distances", "edits", "main", "measure", "nearer"]


_K, _RATE, _SHARED = 100, 50.0, 60


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the demo's units on the held-out sentences, or compare layers on sentences shared by training voices."""

    data: Path
    """Folder of the corpus and its units."""
    layers: bool = False
    """Compare the encoder's layers instead, before there is a codebook."""
    num_neighbors: int = 20
    """See `codebook`; for the comparison of layers."""
    rate: float = 12.5
    """See `codebook`; for the comparison of layers."""


def main() -> None:
    """Print the figures as JSON."""
    options = parse(Options)
    figures = (
        compare_layers(wavlm.load(DEMO / "wavlm.safetensors"), options.data, options.num_neighbors, options.rate)
        if options.layers
        else measure(options.data / "units" / "test")
    )
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


def edits(a: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Levenshtein distances of one sequence to each of several: int64 (len(others),)."""
    lengths = np.array([len(b) for b in others])
    steps = np.arange(lengths.max(initial=0) + 1)
    padded = np.full((len(others), len(steps) - 1), -1)
    for row, b in zip(padded, others, strict=True):
        row[: len(b)] = b
    best = np.tile(steps, (len(others), 1))
    for i, unit in enumerate(a, 1):
        kept = np.minimum(best[:, 1:] + 1, best[:, :-1] + (padded != unit))
        # Insertions cost one each: subtract that slope, and a running minimum remains.
        best = np.minimum.accumulate(np.pad(kept, ((0, 0), (1, 0)), constant_values=i) - steps, axis=1) + steps
    return best[np.arange(len(others)), lengths]


def distances(a: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return edit distances over the longer length, 0..1: float64 (len(others),)."""
    return edits(a, others) / np.array([max(len(a), len(b), 1) for b in others])


def nearer(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> dict[str, float]:
    """Return how often sentence A is nearer to the second A than to the second B, over all pairs, and the distances."""
    table = np.stack([distances(a, second) for a in first])
    same, off = np.diag(table), ~np.eye(len(table), dtype=bool)
    return {
        "nearer": float((same[:, None] < table)[off].mean()),
        "same_sentence": float(same.mean()),
        "other_sentence": float(table[off].mean()),
    }


def measure(units: Path) -> dict[str, dict[str, float]]:
    """Measure the units of the held-out sentences, in a folder per voice and, after an @, rate."""
    folders = sorted(units.iterdir())
    framewise = {folder.name: [np.load(file) for file in sorted(folder.iterdir())] for folder in folders}
    spoken = {name: [_joined(u) for u in found] for name, found in framewise.items()}
    rates = {name: _RATE * sum(map(len, spoken[name])) / sum(map(len, framewise[name])) for name in spoken}
    plain = [name for name in spoken if "@" not in name]
    slow = [(name.split("@")[0], name) for name in spoken if "@" in name]
    across = [(a, b) for a in plain for b in plain if a < b]
    return {"units_per_second": rates} | {f"{a} / {b}": nearer(spoken[a], spoken[b]) for a, b in slow + across}


def compare_layers(encoder: WavLM, data: Path, num_neighbors: int, rate: float) -> dict[str, dict[str, float]]:
    """Measure each layer: lambda, and the same figures, on the sentences shared by two training voices."""
    folders = sorted((data / "wavs" / "train").iterdir())
    names = {folder: {file.name for file in folder.iterdir()} for folder in folders}
    shared = [(a, b, sorted(names[a] & names[b])[:_SHARED]) for a in folders for b in folders if a.name < b.name]
    pairs = [([a / name for name in both], [b / name for name in both]) for a, b, both in shared if both]
    found: dict[str, dict[str, float]] = {}
    for layer in range(1, encoder.num_layers + 1):
        frames = encode(encoder, audio.find(data / "wavs" / "train")[::12], layer)
        codes = kmeans.fit(torch.cat(frames), _K, tolerance=1e-3)
        lmbda = fit_lmbda(frames, codes, rate, num_neighbors=num_neighbors, frame_rate=encoder.frame_rate)
        quantizer = DPDPQuantizer(codes, lmbda, num_neighbors)
        results = [nearer(*(_units(encoder, quantizer, files, layer) for files in pair)) for pair in pairs]
        found[f"layer {layer}"] = {key: float(np.mean([r[key] for r in results])) for key in results[0]}
        found[f"layer {layer}"]["lmbda"] = lmbda
    return found


def _units(encoder: WavLM, quantizer: DPDPQuantizer, files: list[Path], layer: int) -> list[np.ndarray]:
    return [u.units.numpy() for u in quantizer.segment(encode(encoder, files, layer))]


def _joined(framewise: np.ndarray) -> np.ndarray:
    return framewise[np.diff(framewise, prepend=-1) != 0]


if __name__ == "__main__":
    main()
