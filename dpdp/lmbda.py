"""Several lambdas at once, and lambda for a target rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import torch
from torch import Tensor

from dpdp.batch import is_single, utterances
from dpdp.distances import Codes, check_features, check_lmbda, check_num_neighbors
from dpdp.segments import segments
from dpdp.viterbi import decode
from slmcore.errors import must
from slmcore.units import Units

__all__ = ["bits_per_second", "fit_lmbda", "sweep"]

_LAMBDAS_A_PASS = 16
_CLOSE_ENOUGH = 1e-3
_FINEST = 1e-6


@overload
def sweep(
    features: Tensor,
    codebook: Tensor,
    lmbdas: Sequence[float],
    num_neighbors: int | None = None,
    *,
    frame_rate: float = 50.0,
) -> list[Units]: ...


@overload
def sweep(
    features: Sequence[Tensor],
    codebook: Tensor,
    lmbdas: Sequence[float],
    num_neighbors: int | None = None,
    *,
    frame_rate: float = 50.0,
) -> list[list[Units]]: ...


def sweep(
    features: Tensor | Sequence[Tensor],
    codebook: Tensor,
    lmbdas: Sequence[float],
    num_neighbors: int | None = None,
    *,
    frame_rate: float = 50.0,
) -> list[Units] | list[list[Units]]:
    """Quantise at each lambda, computing the distances, by far the largest cost, only once.

    `features`: (T, D), a list of (T_i, D) or (B, T, D); `codebook`: (K, D); `lmbdas`: numbers >= 0; `num_neighbors`: as
    for `DPDPQuantizer`; `frame_rate`: frames per second. Returns for each lambda what `DPDPQuantizer.segment` returns:
    `Units`, or a list of them. Raises as it does.
    """
    data = _Data.of(features, codebook, num_neighbors, frame_rate)
    if len(lmbdas) == 0:
        raise ValueError(must("lmbdas", "at least one number >= 0", lmbdas))
    framewise = data.decode([check_lmbda(lmbda) for lmbda in lmbdas])
    found = [segments(units, data.lengths, frame_rate) for units in framewise]
    return [units[0] for units in found] if is_single(features) else found


def fit_lmbda(
    features: Tensor | Sequence[Tensor],
    codebook: Tensor,
    units_per_second: float | None = None,
    *,
    bitrate: float | None = None,
    num_neighbors: int | None = None,
    frame_rate: float = 50.0,
) -> float:
    """Return the lambda that quantises `features` to a target number of units, or bits, per second.

    The unit rate falls monotonically with lambda, from that of nearest codes to a floor: one unit per utterance, or
    with limited `num_neighbors` as few as these allow. The bit rate (see `bits_per_second`) need not be monotonic; of
    several matching lambdas near the lowest is taken. The search scans all scales of lambda, then narrows the interval
    around the target 16-fold per pass, until the rate is within 0.1 % or, as both rates are step functions, no lambda
    comes closer. `features`: (T, D), a list of (T_i, D) or (B, T, D): the more, the finer the steps.

    Raises a ValueError that names the range if the rate is out of reach, or unless exactly one rate is given.
    """
    given = [(name, x) for name, x in (("units_per_second", units_per_second), ("bitrate", bitrate)) if x is not None]
    if len(given) != 1:
        raise ValueError("Exactly one of `units_per_second` and `bitrate` must be given.")
    name, wanted = given[0]
    if not (isinstance(wanted, (int, float)) and math.isfinite(wanted) and wanted > 0):
        raise ValueError(must(name, "a finite number > 0", wanted))
    data = _Data.of(features, codebook, num_neighbors, frame_rate)
    measure = _units_per_second if name == "units_per_second" else bits_per_second

    def rates(lmbdas: Sequence[float]) -> list[float]:
        return [measure(segments(x, data.lengths, frame_rate)) for x in data.decode(lmbdas)]

    return _search(rates, data.scales(), name, wanted)


def bits_per_second(units: Sequence[Units]) -> float:
    """Return the bit rate of deduplicated units: their number x the entropy of their distribution / total seconds."""
    counts = torch.cat([x.units for x in units]).bincount().double()
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * shares.log2()).sum() * counts.sum()) / sum(x.seconds for x in units)


def _units_per_second(units: Sequence[Units]) -> float:
    return sum(len(x) for x in units) / sum(x.seconds for x in units)


@dataclass(frozen=True, kw_only=True)
class _Data:
    """Features checked against a codebook."""

    utterances: list[Tensor]
    codes: Codes
    num_neighbors: int

    @classmethod
    def of(
        cls, features: Tensor | Sequence[Tensor], codebook: Tensor, num_neighbors: int | None, frame_rate: float
    ) -> _Data:
        if not frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames per second > 0", frame_rate))
        found, codes = utterances(features), Codes.of(codebook)
        for x in found:
            check_features(x, codes)
        return cls(utterances=found, codes=codes, num_neighbors=check_num_neighbors(num_neighbors, len(codes)))

    @property
    def lengths(self) -> list[int]:
        return [len(x) for x in self.utterances]

    def decode(self, lmbdas: Sequence[float]) -> Tensor:
        return decode(self.utterances, self.codes, lmbdas, self.num_neighbors)

    def scales(self) -> list[float]:
        """Return lambdas from 0 to one that no distances can outweigh."""
        code = float(self.codes.norms.max().sqrt())
        frame = max(float((x.float() - self.codes.centre).norm(dim=1).max()) for x in self.utterances)
        spread = code * (code + 4 * frame)  # an upper bound of differences between distances of a frame
        if not 0 < spread < math.inf:
            return [0.0, 1.0]
        lowest, highest = math.log(spread * 1e-4), math.log(spread * max(self.lengths))
        steps = 2 * _LAMBDAS_A_PASS - 1
        return [0.0] + [math.exp(lowest + (highest - lowest) * i / (steps - 1)) for i in range(steps)]


def _search(
    rates: Callable[[Sequence[float]], list[float]], lmbdas: Sequence[float], name: str, wanted: float
) -> float:
    seen = list(zip(lmbdas, rates(lmbdas), strict=True))
    low, high = min(rate for _, rate in seen), max(rate for _, rate in seen)
    if not low <= wanted <= high:
        reach = f"in {low:.4g}..{high:.4g}, which is what these features and num_neighbors can reach"
        raise ValueError(must(name, reach, wanted))
    best = min(seen, key=lambda point: abs(point[1] - wanted))
    while True:
        # Neighbours on both sides of the target rate, at its first crossing.
        pairs = pairwise(seen)
        (left, _), (right, _) = next(p for p in pairs if (p[0][1] - wanted) * (p[1][1] - wanted) <= 0)
        if abs(best[1] - wanted) <= _CLOSE_ENOUGH * wanted or right - left <= _FINEST * right:
            return best[0]
        inner = [left + (right - left) * i / _LAMBDAS_A_PASS for i in range(_LAMBDAS_A_PASS + 1)]
        seen = list(zip(inner, rates(inner), strict=True))
        best = min([best, *seen], key=lambda point: abs(point[1] - wanted))
