"""Pauses at which long speech can be segmented without cutting a word, and stretches of speech."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from slmcore.errors import must

__all__ = ["pauses", "stretches"]

_HOP_SECONDS, _WINDOW_HOPS = 0.01, 2
_LEVELS_OVER_SECONDS = 20.0
"""Length of the stretches in which noise and speech levels are estimated, so that a recording may change over time."""
_NOISE, _SPEECH = 0.1, 0.95
"""Quantiles of the level in dB that estimate the noise and the speech."""
_OVER_NOISE_DB, _UNDER_SPEECH_DB, _LEAST_UNDER_SPEECH_DB = 6.0, 35.0, 10.0
_SHORTEST_PAUSE_SECONDS = 0.2
"""Shortest pause; closures of stops are shorter."""
_LONG_PAUSE_SECONDS, _KEPT_SECONDS = 1.0, 0.25
"""Shortest pause between stretches, and how much of it a stretch keeps."""
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
    hop = _hop(sr)
    cost = _cost(_level(wav, hop))
    places = _cheapest_of_each(cost, max(1, int(_CANDIDATE_SECONDS / _HOP_SECONDS)))
    samples = places * hop + hop // 2
    shortest = int(min(_SHORTEST_SEGMENT_SECONDS, longest_seconds / 4) * sr)
    usual = longest if usual_seconds is None else min(longest, int(usual_seconds * sr))
    return _fewest(samples, cost[places], wav.shape[-1], (shortest, usual, longest))


def stretches(
    wav: Tensor, sr: int, longest_seconds: float = 30.0, usual_seconds: float | None = None
) -> list[tuple[int, int]]:
    """Return the stretches of speech in a wav (1, samples), none longer than `longest_seconds`: samples (start, end).

    A wav that is not longer is one stretch. Others are parted at pauses of a second or more, and where that is not
    enough as `pauses` does. A stretch keeps a quarter of a second of the pauses around it.
    """
    total = wav.shape[-1]
    if total <= int(longest_seconds * sr):
        return [(0, total)]
    hop, kept = _hop(sr), int(_KEPT_SECONDS * sr)
    rests = (_runs(_quiet(_level(wav, hop))) * hop).tolist()
    long = [(a + kept, b - kept) for a, b in rests if b - a >= _LONG_PAUSE_SECONDS * sr]
    found: list[tuple[int, int]] = []
    for start, end in zip([0, *(b for _, b in long)], [*(a for a, _ in long), total], strict=True):
        cuts = pauses(wav[:, start:end], sr, longest_seconds, usual_seconds)
        edges = [start, *(start + cut for cut in cuts), end]
        found += [_without_rests(a, b, rests, kept) for a, b in pairwise(edges)]
    return [(a, b) for a, b in found if a < b]


def _without_rests(start: int, end: int, rests: list[list[int]], kept: int) -> tuple[int, int]:
    """Return a stretch without the pauses that it begins and ends in, but for `kept` samples of each."""
    _, until = _pause_at(start, rests)
    since, _ = _pause_at(end, rests)
    return max(start, until - kept), min(end, since + kept)


def _pause_at(sample: int, rests: list[list[int]]) -> tuple[int, int]:
    """Return where the pause around a sample begins and ends, both the sample itself where there is none."""
    begin, end = rests[max(0, bisect_right(rests, [sample, sample]) - 1)] if rests else (sample, sample)
    return (begin, end) if begin <= sample <= end else (sample, sample)


def _hop(sr: int) -> int:
    return max(1, int(_HOP_SECONDS * sr))


def _level(wav: Tensor, hop: int) -> np.ndarray:
    """Return the level in dB around the middle of each hop, at least 100 dB below full scale: (samples // hop,)."""
    power = wav[0, : wav.shape[-1] // hop * hop].detach().cpu().float().square().reshape(-1, hop).mean(1)
    smooth = torch.nn.functional.avg_pool1d(power[None], 2 * _WINDOW_HOPS - 1, 1, _WINDOW_HOPS - 1)[0]
    return 10 * smooth.clamp(min=1e-10).log10().numpy()


def _cost(level: np.ndarray) -> np.ndarray:
    """Return the cost of a cut at each hop, from its level in dB."""
    clearance = _clearance(_quiet(level))
    loudness = (level - level.min()) / max(float(np.ptp(level)), 1e-6)
    return np.where(clearance > 0, 1 + 0.1 / np.maximum(clearance, _HOP_SECONDS), _IN_SPEECH + _LOUDEST * loudness)


def _quiet(level: np.ndarray) -> np.ndarray:
    """Return whether each hop's level in dB is below the threshold of its part of the recording."""
    parts = np.array_split(level, max(1, len(level) // int(_LEVELS_OVER_SECONDS / _HOP_SECONDS)))
    return np.concatenate([part < _threshold(part) for part in parts])


def _threshold(level: np.ndarray) -> float:
    noise, speech = np.quantile(level, [_NOISE, _SPEECH])
    return float(min(max(noise + _OVER_NOISE_DB, speech - _UNDER_SPEECH_DB), speech - _LEAST_UNDER_SPEECH_DB))


def _runs(quiet: np.ndarray) -> np.ndarray:
    """Return the pauses, (start, end) in hops each: runs of quiet hops that are long enough."""
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return edges[(edges[:, 1] - edges[:, 0]) * _HOP_SECONDS >= _SHORTEST_PAUSE_SECONDS]


def _clearance(quiet: np.ndarray) -> np.ndarray:
    """Return the seconds from each hop to the nearer end of the pause that it lies in; 0 outside pauses."""
    clearance = np.zeros(len(quiet))
    for start, end in _runs(quiet):
        inside = np.arange(1, end - start + 1)
        clearance[start:end] = np.minimum(inside, inside[::-1]) * _HOP_SECONDS
    return clearance


def _cheapest_of_each(cost: np.ndarray, width: int) -> np.ndarray:
    """Return the cheapest hop of each `width` hops."""
    whole = len(cost) // width * width
    return cost[:whole].reshape(-1, width).argmin(1) + np.arange(0, whole, width)


def _fewest(places: np.ndarray, cost: np.ndarray, total: int, lengths: tuple[int, int, int]) -> list[int]:
    """Return the cuts of least total cost, their own and that of the segments between them.

    The first segment begins at 0, the last ends at `total`: a shortest path through the candidate cuts. `lengths`: the
    shortest, the usual and the longest segment, in samples.
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
