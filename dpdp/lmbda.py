"""Many lambdas at once, and the lambda that gives a wanted rate."""

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
    """Units at each lambda; distances, which cost by far the most, are computed once.

    `features`: (T, D), a list of (T_i, D) or (B, T, D); `codebook`: (K, D); `lmbdas`: numbers >= 0;
    `num_neighbors`: as of `DPDPQuantizer`; `frame_rate`: frames a second. Returns for each lambda what
    `DPDPQuantizer.segment` returns: `Units`, or a list of them. Raises as it does.
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
    """The lambda that quantises `features` to a wanted number of units, or of bits, a second.

    The rate of units falls monotonically with lambda, from that of nearest codes to a floor: one unit an utterance, or
    with `num_neighbors` limited as few as these allow. The bit rate (see `bits_per_second`) need not fall everywhere;
    of several lambdas near the lowest is taken. Found by a scan over all scales of lambda, then by narrowing the
    interval round the wanted rate 16-fold a pass, until the rate is within 0.1 % or, since both rates move in steps, no
    lambda comes closer. `features`: (T, D), a list of (T_i, D) or (B, T, D): the more, the finer the steps.

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
    """Bit rate of units without repeats: their number x the entropy of their distribution / total seconds."""
    counts = torch.cat([x.units for x in units]).bincount().double()
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * shares.log2()).sum() * counts.sum()) / sum(x.seconds for x in units)


def _units_per_second(units: Sequence[Units]) -> float:
    return sum(len(x) for x in units) / sum(x.seconds for x in units)


@dataclass(frozen=True, kw_only=True)
class _Data:
    """Features that were checked against a codebook."""

    utterances: list[Tensor]
    codes: Codes
    num_neighbors: int

    @classmethod
    def of(
        cls, features: Tensor | Sequence[Tensor], codebook: Tensor, num_neighbors: int | None, frame_rate: float
    ) -> _Data:
        if not frame_rate > 0:
            raise ValueError(must("frame_rate", "a number of frames a second > 0", frame_rate))
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
        """Lambdas from 0 to one so large that no distances can outweigh it."""
        code = float(self.codes.norms.max().sqrt())
        frame = max(float((x.float() - self.codes.centre).norm(dim=1).max()) for x in self.utterances)
        spread = code * (code + 4 * frame)  # no two distances of a frame differ by more
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
        # Neighbours on two sides of the wanted rate; where it is crossed more than once, at the lowest lambda.
        pairs = pairwise(seen)
        (left, _), (right, _) = next(p for p in pairs if (p[0][1] - wanted) * (p[1][1] - wanted) <= 0)
        if abs(best[1] - wanted) <= _CLOSE_ENOUGH * wanted or right - left <= _FINEST * right:
            return best[0]
        inner = [left + (right - left) * i / _LAMBDAS_A_PASS for i in range(_LAMBDAS_A_PASS + 1)]
        seen = list(zip(inner, rates(inner), strict=True))
        best = min([best, *seen], key=lambda point: abs(point[1] - wanted))
