"""Where long speech can be cut without cutting a word."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["pauses"]

_HOP_SECONDS, _WINDOW_HOPS = 0.01, 2
_LEVELS_OVER_SECONDS = 20.0
"""Noise and speech are levels of a stretch of this length, so that a recording may change on its way."""
_NOISE, _SPEECH = 0.1, 0.95
"""Quantiles of the level in dB that are taken for the noise and for the speech."""
_OVER_NOISE_DB, _UNDER_SPEECH_DB, _LEAST_UNDER_SPEECH_DB = 6.0, 35.0, 10.0
_SHORTEST_PAUSE_SECONDS = 0.2
"""Closures of stops are shorter."""
_SHORTEST_SEGMENT_SECONDS = 0.5
_CANDIDATE_SECONDS = 0.1
_IN_SPEECH, _LOUDEST, _UNUSUAL = 1000.0, 100.0, 100.0
"""Cost of a cut outside pauses, how much more the loudest place costs, and that of a segment of more than the usual
length. A cut in a pause costs 1 and, 10 ms from the pause's end, up to 10 more."""


def pauses(wav: Tensor, sr: int, longest_seconds: float = 30.0, usual_seconds: float | None = None) -> list[int]:
    """Return where to cut a wav (1, samples) so that no segment exceeds `longest_seconds`: samples, ascending.

    As few cuts as possible lie outside pauses, there at the quietest places; then as few segments as possible exceed
    `usual_seconds` (None: the limit); then there are as few cuts as possible, in long pauses rather than short ones.
    A pause is 0.2 s or more below a threshold that follows the noise: 6 dB above it, or 35 dB below the speech where
    that is more, and at least 10 dB below the speech. Segments of a wav that is cut last at least half a second, or a
    quarter of the limit where that is less. Raises ValueError for a limit below a second.
    """
    if not longest_seconds >= 1:
        raise ValueError(must("longest_seconds", "at least a second", longest_seconds))
    longest = int(longest_seconds * sr)
    if wav.shape[-1] <= longest:
        return []
    hop = max(1, int(_HOP_SECONDS * sr))
    cost = _cost(_level(wav, hop))
    places = _cheapest_of_each(cost, max(1, int(_CANDIDATE_SECONDS / _HOP_SECONDS)))
    samples = places * hop + hop // 2
    shortest = int(min(_SHORTEST_SEGMENT_SECONDS, longest_seconds / 4) * sr)
    usual = longest if usual_seconds is None else min(longest, int(usual_seconds * sr))
    return _fewest(samples, cost[places], wav.shape[-1], (shortest, usual, longest))


def _level(wav: Tensor, hop: int) -> np.ndarray:
    """Return the level in dB around the middle of each hop, at least 100 dB below full scale: (samples // hop,)."""
    power = wav[0, : wav.shape[-1] // hop * hop].detach().cpu().float().square().reshape(-1, hop).mean(1)
    smooth = torch.nn.functional.avg_pool1d(power[None], 2 * _WINDOW_HOPS - 1, 1, _WINDOW_HOPS - 1)[0]
    return 10 * smooth.clamp(min=1e-10).log10().numpy()


def _cost(level: np.ndarray) -> np.ndarray:
    """Return what a cut costs at each hop, from its level in dB."""
    stretch = int(_LEVELS_OVER_SECONDS / _HOP_SECONDS)
    parts = np.array_split(level, max(1, len(level) // stretch))
    quiet = np.concatenate([part < _threshold(part) for part in parts])
    clearance = _clearance(quiet)
    loudness = (level - level.min()) / max(float(np.ptp(level)), 1e-6)
    return np.where(clearance > 0, 1 + 0.1 / np.maximum(clearance, 0.01), _IN_SPEECH + _LOUDEST * loudness)


def _threshold(level: np.ndarray) -> float:
    noise, speech = np.quantile(level, [_NOISE, _SPEECH])
    return float(min(max(noise + _OVER_NOISE_DB, speech - _UNDER_SPEECH_DB), speech - _LEAST_UNDER_SPEECH_DB))


def _clearance(quiet: np.ndarray) -> np.ndarray:
    """Return the seconds from each hop to the nearer end of the pause that it lies in; 0 outside pauses."""
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
    clearance = np.zeros(len(quiet))
    for start, end in edges.reshape(-1, 2):
        if (end - start) * _HOP_SECONDS >= _SHORTEST_PAUSE_SECONDS:
            inside = np.arange(end - start)
            clearance[start:end] = np.minimum(inside + 1, inside[::-1] + 1) * _HOP_SECONDS
    return clearance


def _cheapest_of_each(cost: np.ndarray, width: int) -> np.ndarray:
    """Return the cheapest hop of each `width` hops."""
    whole = len(cost) // width * width
    return cost[:whole].reshape(-1, width).argmin(1) + np.arange(0, whole, width)


def _fewest(places: np.ndarray, cost: np.ndarray, total: int, lengths: tuple[int, int, int]) -> list[int]:
    """Return the places whose costs, with those of the segments between them, add up to least.

    The first segment begins at 0, the last ends at `total`: the shortest path through the places in their order.
    `lengths`: the shortest, the usual and the longest segment, in samples.
    """
    shortest, usual, longest = lengths
    nodes = np.concatenate([[0], places, [total]])
    first = np.searchsorted(nodes, nodes - longest)
    last = np.searchsorted(nodes, nodes - shortest, side="right")
    best, before = np.full(len(nodes), np.inf), np.zeros(len(nodes), dtype=np.int64)
    best[0] = 0.0
    for i, price in enumerate([*cost, 0.0], start=1):
        if first[i] < last[i]:
            some = slice(first[i], last[i])
            paths = best[some] + _UNUSUAL * (nodes[i] - nodes[some] > usual)
            before[i] = first[i] + paths.argmin()
            best[i] = paths.min() + price
    cuts, i = [], before[-1]
    while i:
        cuts.append(int(nodes[i]))
        i = before[i]
    return cuts[::-1]
