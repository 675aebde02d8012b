"""Codes of a classifier of layer-normed features: the nearest is the likeliest class."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dpdp import DPDPQuantizer
from slmzoo.training.tasks.head_codes import head_codes


def classifier(seed: int, dim: int, classes: int, bias: float) -> tuple[nn.Linear, nn.LayerNorm, torch.Tensor]:
    """A head and a norm with random weights, and outputs of the norm."""
    draw = torch.Generator().manual_seed(seed)
    head, norm = nn.Linear(dim, classes), nn.LayerNorm(dim)
    with torch.no_grad():
        head.weight.normal_(generator=draw)
        head.bias.normal_(generator=draw).mul_(bias)
        norm.weight.uniform_(0.2, 1.6, generator=draw)
        norm.bias.normal_(generator=draw)
    return head, norm, norm(3 * torch.randn(40, dim, generator=draw)).detach()


@given(st.integers(0, 10**6), st.integers(2, 24), st.integers(1, 30), st.sampled_from([0.0, 1.0, 8.0]))
def test_squared_distances_are_negative_logits_but_for_a_constant_of_the_frame(seed, dim, classes, bias):
    head, norm, x = classifier(seed, dim, classes, bias)
    codes = head_codes(head, norm)
    assert (codes.shape, codes.dtype, codes.requires_grad) == ((classes, dim), torch.float32, False)
    sums = torch.cdist(x.double(), codes.double()).square() + head(x).double().detach()
    assert (sums - sums[:, :1]).abs().max() < 1e-4 * (1 + sums.abs().max())


def test_lambda_is_in_nats():
    head, norm, x = classifier(3, 12, 5, 1.0)
    logits = head(x).double().detach()
    units = DPDPQuantizer(head_codes(head, norm), 2.5).segment(x).framewise()

    def score(path: torch.Tensor) -> float:
        return float(logits.gather(1, path[:, None]).sum() + 2.5 * (path[1:] == path[:-1]).sum())

    best = logits[0].clone()
    for frame in logits[1:]:
        best = frame + torch.maximum(best + 2.5, best.max())
    assert score(units) == pytest.approx(float(best.max()), rel=1e-6)
