from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.wavlm import gated_bias, relative_bucket
from wavlm_codebooks import layers
from wavlm_codebooks.layers import Attention, Frontend, PositionBias, PositionConv, strided_conv


@given(kernel=st.integers(1, 12), stride=st.integers(1, 6), channels=st.sampled_from([1, 3]), extra=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_strided_conv_is_conv1d(kernel: int, stride: int, channels: int, extra: int) -> None:
    torch.manual_seed(kernel * 100 + stride)
    x = torch.randn(2, kernel + extra, channels, dtype=torch.float64)
    weight = torch.randn(5, channels, kernel, dtype=torch.float64)
    expected = F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)
    torch.testing.assert_close(strided_conv(x, weight, stride), expected)


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


def test_a_frame_of_the_position_conv_sees_half_a_kernel_to_each_side() -> None:
    torch.manual_seed(0)
    conv = PositionConv(8, 6, 2)
    x = torch.randn(1, 20, 8)
    moved = x.clone()
    moved[:, 10] += 1
    touched = (conv(x) != conv(moved)).any(-1)[0].nonzero()[:, 0].tolist()
    assert touched == list(range(8, 14))
    assert conv(x).shape == x.shape


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("samples", [30, 49, 50, 777])
def test_the_frontend_in_pieces_is_the_stack_of_its_layers(
    batch: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Frontend(((6, 10, 5), (6, 3, 2), (4, 2, 2)), hop=20, field=30)
    x = torch.randn(batch, samples, 1)
    whole = torch.nn.Sequential(*model)(x)
    monkeypatch.setattr(layers, "_CACHED", 3 * 6 * 4)  # three frames a piece
    torch.testing.assert_close(model(x), whole, atol=1e-5, rtol=1e-5)


def test_attention_a_few_heads_at_a_time_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, bias = Attention(24, 6), torch.randn(2, 5, 24), torch.randn(1, 6, 5, 5)
    padding = torch.arange(5) >= torch.tensor([[5], [3]])
    whole = model(x, bias, padding)
    for heads in (1, 4):
        monkeypatch.setattr(layers, "_CACHED", heads * 2 * 5**2)
        torch.testing.assert_close(model(x, bias, padding), whole)
