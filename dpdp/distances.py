"""Squared distances between frames and codes, up to a constant per frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from slmcore.checks import as_int, described
from slmcore.errors import must

__all__ = [
    "Codes",
    "check_codebook",
    "check_features",
    "check_lmbda",
    "check_num_neighbors",
    "check_squares",
    "squared_distances",
]

LARGEST_LMBDA = 1e38
_LARGEST_SQUARE = torch.finfo(torch.float32).max / 4


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Prepared codebook, centred on its mean: a common offset of the features would cost float32 precision."""

    centre: Tensor
    """Mean of the codes, float32 (D,)."""
    factors: Tensor
    """-2 * (code - centre), float32 (K, D)."""
    norms: Tensor
    """|code - centre|^2, float32 (K,)."""

    @classmethod
    def of(cls, codebook: Tensor) -> Codes:
        """Prepare a (K, D) codebook; a ValueError if it is not one, or if its squares overflow float32."""
        check_codebook(codebook)
        codebook = codebook.detach().float()
        centre = codebook.mean(0)
        centred = codebook - centre
        norms = centred.square().sum(1)
        if not float(norms.max()) < _LARGEST_SQUARE:
            raise ValueError(_overflow("codebook"))
        return cls(centre=centre, factors=-2 * centred, norms=norms)

    def __len__(self) -> int:
        return len(self.norms)

    @property
    def shape(self) -> tuple[int, int]:
        """(K, D)."""
        return len(self.factors), len(self.centre)

    def costs(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances up to a constant per frame, and the largest |feature - centre|.

        `features`: (T, D), any float dtype. Returns float32 (T, K) and a scalar for `check_squares`, left on the device
        so that nothing waits for a GPU.
        """
        with torch.autocast(features.device.type, enabled=False):
            centred = features.detach().float() - self.centre
            return torch.addmm(self.norms, centred, self.factors.T), torch.linalg.vector_norm(centred, dim=1).max()


def check_squares(largest: Tensor, features: Sequence[Tensor]) -> None:
    """Raise a ValueError if `largest` of `Codes.costs` is not a norm whose square fits into float32."""
    if float(largest) ** 2 < _LARGEST_SQUARE:
        return
    for index, utterance in enumerate(features):
        for what, found in (("NaN", utterance.isnan()), ("infinity", utterance.isinf())):
            if found.any():
                frame = int(found.any(1).nonzero()[0])
                where = f"frame {frame}" + (f" of utterance {index}" if len(features) > 1 else "")
                raise ValueError(must("features", "finite", f"a tensor with {what} (first in {where})"))
    raise ValueError(_overflow("features"))


def squared_distances(features: Tensor, codebook: Tensor) -> Tensor:
    """|x_t - c_k|^2 of `features` (T, D) to `codebook` (K, D): float32 (T, K), >= 0."""
    codes = Codes.of(codebook)
    check_features(features, codes)
    costs, largest = codes.costs(features)
    check_squares(largest, [features])
    centred = features.detach().float() - codes.centre
    return (costs + torch.linalg.vecdot(centred, centred)[:, None]).clamp_(min=0)


def check_codebook(codebook: Tensor) -> None:
    """Raise unless `codebook` is a finite, floating (K, D) tensor with at least one code."""
    if not isinstance(codebook, Tensor) or not codebook.is_floating_point():
        raise TypeError(must("codebook", "a floating point tensor (K, D)", described(codebook)))
    if codebook.ndim != 2 or 0 in codebook.shape:
        raise ValueError(must("codebook", "a tensor (K, D) with K, D >= 1", described(codebook)))
    if not codebook.is_meta and not codebook.isfinite().all():
        raise ValueError(must("codebook", "finite", "a tensor with NaN or infinity"))


def check_features(features: Tensor, codes: Codes) -> None:
    """Raise unless `features` is a floating (T, D) tensor that fits the codes, with at least one frame."""
    width = len(codes.centre)
    wanted = f"a floating point tensor (T, {width})"
    if not isinstance(features, Tensor) or not features.is_floating_point():
        raise TypeError(must("features", wanted, described(features)))
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(must("features", wanted, described(features), f"The codebook is {width} wide."))
    if len(features) == 0:
        raise ValueError(must("features", "at least one frame long", described(features)))
    if features.device != codes.centre.device:
        raise ValueError(
            must("features", f"on the codebook's device ({codes.centre.device})", f"a tensor on {features.device}")
        )


def check_lmbda(lmbda: float) -> float:
    """Raise unless `lmbda` is a number in 0..1e38."""
    if not isinstance(lmbda, Real) or isinstance(lmbda, bool):
        raise TypeError(must("lmbda", "a number >= 0", lmbda))
    if math.isnan(lmbda) or not 0 <= lmbda <= LARGEST_LMBDA:
        raise ValueError(must("lmbda", "a number >= 0 (and at most 1e38)", lmbda, "Use 0 for nearest codes."))
    return float(lmbda)


def check_num_neighbors(num_neighbors: int | None, k: int) -> int:
    """Raise unless `num_neighbors` is None (all) or in 1..k; return it as a number."""
    if num_neighbors is None:
        return k
    found = as_int(num_neighbors)
    if found is None:
        raise TypeError(must("num_neighbors", f"an integer in 1..{k} or None for all", num_neighbors))
    if not 1 <= found <= k:
        raise ValueError(must("num_neighbors", f"in 1..{k} or None for all", num_neighbors))
    return found


def _overflow(name: str) -> str:
    return must(name, "small enough that squared distances fit into float32", "a tensor with values too large for it")
