from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.layers.ssl import frontend
from slmcore.layers.ssl.frontend import Frontend, GroupNormLayer, convolved_by_cudnn, moments, strided_conv


@given(kernel=st.integers(1, 12), stride=st.integers(1, 6), channels=st.sampled_from([1, 3]), extra=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_strided_conv_is_conv1d(kernel: int, stride: int, channels: int, extra: int) -> None:
    torch.manual_seed(kernel * 100 + stride)
    x = torch.randn(2, kernel + extra, channels, dtype=torch.float64)
    weight = torch.randn(5, channels, kernel, dtype=torch.float64)
    expected = F.conv1d(x.transpose(1, 2), weight, stride=stride).transpose(1, 2)
    for convolved in (strided_conv, convolved_by_cudnn):
        torch.testing.assert_close(convolved(x, weight, stride), expected)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("samples", [30, 49, 50, 777])
def test_the_frontend_in_segments_is_the_stack_of_its_layers(
    batch: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Frontend(((6, 10, 5), (6, 3, 2), (4, 2, 2)), hop=20, field=30)
    x = torch.randn(batch, samples, 1)
    whole = torch.nn.Sequential(*model)(x)
    monkeypatch.setattr(frontend, "CACHED", 3 * 6 * 4)  # three frames a segment
    torch.testing.assert_close(model(x), whole, atol=1e-5, rtol=1e-5)


@given(samples=st.integers(12, 300), offset=st.floats(-3, 3), stride=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_a_group_norm_within_the_convolution_is_one_after_it(samples: int, offset: float, stride: int) -> None:
    torch.manual_seed(samples)
    model = GroupNormLayer(5, 6, stride)
    torch.nn.init.normal_(model.norm.weight)
    torch.nn.init.normal_(model.norm.bias)
    wav = torch.randn(2, samples) + offset
    normed = F.group_norm(F.conv1d(wav[:, None], model.weight, stride=stride), 5, model.norm.weight, model.norm.bias)
    found = model(wav[..., None], *model.norms(wav, None))
    # Few frames can have nearly no variance, by which the norm divides.
    torch.testing.assert_close(found, F.gelu(normed).transpose(1, 2), atol=2e-4, rtol=1e-3)


def test_moments_of_an_hour_do_not_drift_and_come_block_by_block() -> None:
    wav = 1e-3 * torch.randn(50_001, generator=torch.Generator().manual_seed(0)) + 0.5
    frames = wav.double().unfold(0, 10, 5)
    mean, covariance = moments(wav, 10, 5)
    torch.testing.assert_close(mean, frames.mean(0))
    torch.testing.assert_close(covariance, torch.cov(frames.T, correction=0), rtol=1e-6, atol=1e-15)
    torch.testing.assert_close(moments(wav, 10, 5, block=777), (mean, covariance))


def test_the_norms_of_a_batch_are_of_its_real_samples() -> None:
    torch.manual_seed(0)
    model = Frontend(((6, 10, 5), (6, 3, 2)), hop=10, field=20, group_norm=True)
    long, short = torch.randn(120), torch.randn(57)
    batch = torch.stack([long, torch.nn.functional.pad(short, (0, 63))])
    norms = model.norms(batch, torch.tensor([120, 57]))
    for index, alone in enumerate((long, short)):
        expected = model.norms(alone[None])
        torch.testing.assert_close(tuple(each[index : index + 1] for each in norms), expected)
