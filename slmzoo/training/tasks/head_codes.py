"""Codes of a linear classifier: the code nearest to layer-normed features is that of the likeliest class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["head_codes"]


@torch.no_grad()
def head_codes(head: nn.Linear, norm: nn.LayerNorm) -> Tensor:
    """Return codes (classes, dim), float32, such that |x - code|^2 = f(x) - logit for every output x (dim,) of `norm`.

    The logits are those of `head`, and f is the same for all codes. A code is c = w / 2 + t u: along u = 1 / gain,
    outputs of a layer norm do not vary, since they sum to zero before gain and bias, so that x.u = sum(bias / gain).
    The factor t is chosen for |c|^2 - 2 t x.u = a constant - bias of the class, which the shortest codes solve. DPDP's
    lambda is then in nats.

    Example: `codes[torch.cdist(x, codes).argmin(1)]` are the codes of `head(x).argmax(1)`.
    """
    weights, bias = (x.double() - x.double().mean(0) for x in (head.weight, head.bias))
    half, still = weights / 2, 1 / norm.weight.double()
    length = still.square().sum()
    along = (half @ still - norm.bias.double() @ still) / length
    wanted = half.square().sum(1) + bias - length * along.square()
    root = ((wanted.max() - wanted) / length).sqrt()
    return (half + (root - along)[:, None] * still).float()
