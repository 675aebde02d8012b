"""Equivalent of the published `dp-wfst`, without its lattice."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dpdp.quantizer import DPDPQuantizer

__all__ = ["dpwfst"]


def dpwfst(
    features: Tensor | Sequence[Tensor],
    codebook: Tensor,
    lmbda: float,
    num_neighbors: int | None = None,
    deduplicate: bool | None = False,
) -> list[Tensor]:
    """Quantise as the published `dpwfst` does: always a list, of int32 tensors (T_i,).

    `features`: (T, D) or a list of (T_i, D); with `deduplicate`, repeats are removed. Raises as `DPDPQuantizer` does.
    """
    quantizer = DPDPQuantizer(codebook, lmbda, num_neighbors)
    found = quantizer.segment([features] if isinstance(features, Tensor) else features)
    return [(x.units if deduplicate else x.framewise()).int() for x in found]
