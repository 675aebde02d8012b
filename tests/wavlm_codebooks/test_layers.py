from __future__ import annotations

import pytest
import torch

from tests.reference.wavlm import gated_bias, relative_bucket
from wavlm_codebooks import layers
from wavlm_codebooks.layers import Attention, PositionBias


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 80), (64, 160), (320, 800)])
def test_buckets_follow_the_rule(num_buckets: int, max_distance: int) -> None:
    bias = PositionBias(4, num_buckets, max_distance)
    offsets = range(-1500, 1501)
    found = bias.buckets(torch.tensor(list(offsets))).tolist()
    assert found == [relative_bucket(offset, num_buckets, max_distance) for offset in offsets]
    assert set(found) == set(range(num_buckets)) - {num_buckets // 2}


def test_gated_bias_pair_by_pair() -> None:
    torch.manual_seed(0)
    attention, position = Attention(16, 2), PositionBias(2, 16, 20)
    torch.nn.init.normal_(position.weight)
    torch.nn.init.normal_(attention.gate_scale)
    x = torch.randn(13, 16)
    found = attention.gate(x[None]) * position(13)
    expected = gated_bias(x, position.weight, attention.gate_proj, attention.gate_scale.flatten(), 20)
    torch.testing.assert_close(found[0], expected)


def test_attention_a_few_heads_at_a_time_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, bias = Attention(24, 6), torch.randn(2, 5, 24), torch.randn(1, 6, 5, 5)
    padding = torch.arange(5) >= torch.tensor([[5], [3]])
    whole = model(x, bias, padding)
    for heads in (1, 4):
        monkeypatch.setattr(layers, "CACHED", heads * 2 * 5**2)
        torch.testing.assert_close(model(x, bias, padding), whole)
