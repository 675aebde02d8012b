from __future__ import annotations

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from slmcore.layers.fast.attention import GatedBias, Rows, attend_rows


def test_causal_segments_equal_torch_on_each_alone() -> None:
    torch.manual_seed(0)
    lengths = [5, 1, 9]
    q, k, v = torch.randn(15, 4, 8), torch.randn(15, 2, 8), torch.randn(15, 2, 8)
    found = attend_rows(q, k, v, Rows.packed(lengths, q.device), causal=True).split(lengths)
    for part, *own in zip(found, *(x.split(lengths) for x in (q, k, v)), strict=True):
        heads = [x.transpose(0, 1)[None] for x in own]
        expected = scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
        torch.testing.assert_close(part, expected[0].transpose(0, 1))


@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_the_gated_bias_equals_flex_attention() -> None:
    torch.manual_seed(0)
    batch, frames, heads = 2, 11, 3
    q, k, v = torch.randn(3, batch, frames, heads, 8)
    gate, by_offset = torch.rand(batch * frames, heads), torch.randn(heads, 2 * frames - 1)
    rows = Rows.padded(batch, frames, None, q.device)
    flat = (x.flatten(0, 1) for x in (q, k, v))
    found = attend_rows(*flat, rows, bias=GatedBias(gate, by_offset)).unflatten(0, (batch, frames))

    def score(score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return score + gate.unflatten(0, (batch, frames))[b, i, h] * by_offset[h, frames - 1 + j - i]

    expected = flex_attention(*(x.transpose(1, 2) for x in (q, k, v)), score_mod=score)
    torch.testing.assert_close(found, expected.transpose(1, 2))


def test_shapes_that_do_not_fit_are_refused() -> None:
    q = torch.randn(6, 4, 8)
    rows = Rows.packed([6], q.device)
    for k in (torch.randn(6, 3, 8), torch.randn(5, 2, 8), torch.randn(6, 8, 2).mT):
        with pytest.raises(ValueError, match="`k, v` must be"):
            attend_rows(q, k, k, rows)
    with pytest.raises(ValueError, match="`bias` must be"):
        attend_rows(q, q, q, rows, bias=GatedBias(torch.rand(6, 4), torch.rand(4, 10)))
    with pytest.raises(ValueError, match="`bias` must be"):
        attend_rows(q, q, q, rows, bias=GatedBias(torch.rand(6, 3), torch.rand(4, 11)))
