"""Agreement of units with phones: purity and mutual information over frames, and boundary scores.

Phone purity, cluster purity and phone-normalised mutual information: Hsu et al., arXiv 2106.07447 (HuBERT). R-value:
Räsänen et al., "An improved speech segmentation quality measure: the R-value" (Interspeech 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from slmcore.errors import must
from slmcore.units import Units
from slmzoo.evaluation.units.bitrate import entropy
from slmzoo.evaluation.units.textgrid import Phone

__all__ = ["Boundaries", "Joint", "boundaries", "joint", "labels"]

_SLACK = 1e-6  # Seconds; times of both sides are sums of floats.
Counts = NDArray[np.int64]
Draws = NDArray[np.float64]


def labels(phones: Sequence[Phone], frames: int, frame_rate: float) -> list[str | None]:
    """Return the phone in the middle of each frame; None if there is none."""
    middles = (np.arange(frames) + 0.5) / frame_rate
    last = np.searchsorted([phone.start for phone in phones], middles, side="right") - 1
    pairs = zip(last.tolist(), middles.tolist(), strict=True)
    return [phones[i].label if i >= 0 and t < phones[i].end else None for i, t in pairs]


@dataclass(frozen=True, eq=False)
class Joint:
    """Joint counts of units and phones over the frames of each utterance.

    `utterance`, `unit`, `phone`, `frames`: int64 (entries,), one entry per observed combination.
    """

    utterance: Counts
    unit: Counts
    phone: Counts
    frames: Counts

    def information(self, drawn: Draws) -> Draws:
        """I(unit; phone) in bits, of the frames' relative frequencies (plug-in estimate)."""
        return self._of(drawn, lambda table: _entropies(table)[0])

    def pnmi(self, drawn: Draws) -> Draws:
        """PNMI, I(unit; phone) / H(phone), 0..1: fraction of the phones' entropy explained by the units."""
        return self._of(drawn, _normalised)

    def phone_purity(self, drawn: Draws) -> Draws:
        """Phone purity: share of frames whose phone is the most frequent one of their unit."""
        return self._of(drawn, lambda table: float(table.max(1).sum() / table.sum()))

    def cluster_purity(self, drawn: Draws) -> Draws:
        """Cluster purity: share of frames whose unit is the most frequent one of their phone."""
        return self._of(drawn, lambda table: float(table.max(0).sum() / table.sum()))

    def _of(self, drawn: Draws, measure: Callable[[Draws], float]) -> Draws:
        shape = int(self.unit.max()) + 1, int(self.phone.max()) + 1
        cells = self.unit * shape[1] + self.phone
        tables = (np.bincount(cells, row[self.utterance] * self.frames, shape[0] * shape[1]) for row in drawn)
        return np.array([measure(table.astype(np.float64).reshape(shape)) for table in tables])


def joint(units: Sequence[Units], alignments: Sequence[Sequence[Phone]]) -> Joint:
    """Count the frames of utterances and their alignments; frames without a phone are left out.

    Raises ValueError if no frame has a phone.
    """
    names: dict[str, int] = {}
    entries: list[Counts] = []
    for number, (each, phones) in enumerate(zip(units, alignments, strict=True)):
        framewise = each.framewise().cpu().numpy()
        known = [(u, p) for u, p in zip(framewise, labels(phones, len(framewise), each.frame_rate), strict=True) if p]
        if known:
            pairs = np.array([(u, names.setdefault(p, len(names))) for u, p in known])
            kinds, counts = np.unique(pairs, axis=0, return_counts=True)
            entries.append(np.column_stack([np.full(len(kinds), number), kinds, counts]))
    if not entries:
        raise ValueError(must("alignments", "phones of the utterances' time", "a list of alignments without a frame"))
    return Joint(*np.concatenate(entries).T)


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Boundaries of each utterance, (n,): numbers of units', of phones', and of matches."""

    predicted: Counts
    reference: Counts
    hits: Counts

    def precision(self, drawn: Draws) -> Draws:
        """Precision: share of the units' boundaries that match."""
        return _share(drawn @ self.hits, drawn @ self.predicted)

    def recall(self, drawn: Draws) -> Draws:
        """Recall: share of the phones' boundaries that are matched."""
        return _share(drawn @ self.hits, drawn @ self.reference)

    def f1(self, drawn: Draws) -> Draws:
        """Harmonic mean of precision and recall."""
        return _share(2 * drawn @ self.hits, drawn @ (self.predicted + self.reference))

    def r_value(self, drawn: Draws) -> Draws:
        """R-value: 1 if each boundary is matched once; unlike F1 it penalises over-segmentation. May be below 0."""
        over = _share(drawn @ self.predicted, drawn @ self.reference) - 1
        recall = self.recall(drawn)
        to_corner = np.hypot(1 - recall, over)
        to_line = np.abs(recall - 1 - over) / np.sqrt(2)
        return 1 - (to_corner + to_line) / 2


def boundaries(units: Sequence[Units], alignments: Sequence[Sequence[Phone]], tolerance: float = 0.02) -> Boundaries:
    """Match boundaries of units and phones; `tolerance`: largest difference in seconds of two that match.

    Start and end of an utterance do not count, nor do boundaries between phones of the same label. Each boundary is
    matched at most once, so that as many as possible are.
    """
    pairs = list(zip(units, alignments, strict=True))
    predicted = [each.boundaries()[1:-1].tolist() for each, _ in pairs]
    reference = [_changes(phones) for _, phones in pairs]
    hits = [_matched(a, b, tolerance + _SLACK) for a, b in zip(predicted, reference, strict=True)]
    return Boundaries(np.array([len(f) for f in predicted]), np.array([len(r) for r in reference]), np.array(hits))


def _changes(phones: Sequence[Phone]) -> list[float]:
    return [b.start for a, b in pairwise(phones) if a.label != b.label]


def _matched(predicted: Sequence[float], reference: Sequence[float], tolerance: float) -> int:
    """Return the largest number of matches; both sides ascend, so that the first two near enough can be matched."""
    hits = i = j = 0
    while i < len(predicted) and j < len(reference):
        if abs(predicted[i] - reference[j]) <= tolerance:
            hits, i, j = hits + 1, i + 1, j + 1
        elif predicted[i] < reference[j]:
            i += 1
        else:
            j += 1
    return hits


def _entropies(table: Draws) -> tuple[float, float]:
    """Return I(unit; phone) and H(phone), bits."""
    of_units, of_phones, of_both = (float(entropy(x.reshape(1, -1))[0]) for x in (table.sum(1), table.sum(0), table))
    return of_units + of_phones - of_both, of_phones


def _normalised(table: Draws) -> float:
    shared, of_phones = _entropies(table)
    return shared / of_phones if of_phones > 0 else float("nan")


def _share(part: Draws, whole: Draws) -> Draws:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
