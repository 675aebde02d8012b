from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.layers.hifigan import HiFiGAN, HiFiGANConfig

SMALL = HiFiGANConfig(
    in_channels=5,
    channels=16,
    rates=(3, 2),
    kernels=(7, 4),
    block_kernels=(3, 5),
    block_dilations=((1, 3), (1, 2)),
)


def convolved(x: np.ndarray, conv: torch.nn.Conv1d) -> np.ndarray:
    """A convolution as its definition reads, zeros beyond the ends: (in, T) to (out, T)."""
    weight, bias, step = conv.weight.detach().double().numpy(), conv.bias.detach().double().numpy(), conv.dilation[0]
    kernel, length = weight.shape[2], x.shape[1]
    found = np.repeat(bias[:, None], length, 1)
    for t in range(length):
        for tap in range(kernel):
            source = t + (tap - kernel // 2) * step
            if 0 <= source < length:
                found[:, t] += weight[:, :, tap] @ x[:, source]
    return found


def upsampled(x: np.ndarray, up: torch.nn.ConvTranspose1d, rate: int) -> np.ndarray:
    weight, bias = up.weight.detach().double().numpy(), up.bias.detach().double().numpy()
    kernel, length = weight.shape[2], x.shape[1] * rate
    found = np.repeat(bias[:, None], length, 1)
    for t in range(x.shape[1]):
        for tap in range(kernel):
            target = t * rate + tap - (kernel - rate) // 2
            if 0 <= target < length:
                found[:, target] += x[:, t] @ weight[:, :, tap]
    return found


def leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def slowly(model: HiFiGAN, features: torch.Tensor) -> np.ndarray:
    """The paper's generator for one sequence, in loops and float64."""
    x = convolved(features.double().numpy(), model.conv_pre)
    for up, blocks, rate in zip(model.ups, model.resblocks, model.config.rates, strict=True):
        x = upsampled(leaky(x, 0.1), up, rate)
        outputs = []
        for block in blocks:
            y = x
            for dilated, plain in zip(block.convs1, block.convs2, strict=True):
                y = y + convolved(leaky(convolved(leaky(y, 0.1), dilated), 0.1), plain)
            outputs.append(y)
        x = np.mean(outputs, 0)
    return np.tanh(convolved(leaky(x, 0.01), model.conv_post))[0]


@pytest.fixture(scope="module")
def model() -> HiFiGAN:
    torch.manual_seed(3)
    return HiFiGAN(SMALL).eval().requires_grad_(False)


def test_the_equations(model):
    for length in (1, 2, 9):
        features = torch.randn(5, length, generator=torch.Generator().manual_seed(length))
        found = model(features[None])
        assert found.shape == (1, length * 6)
        assert np.abs(found[0].numpy() - slowly(model, features)).max() < 1e-6


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_a_padded_batch_gives_each_sequence_what_it_gets_alone(model, lengths):
    made = torch.Generator().manual_seed(sum(lengths))
    features = [torch.randn(5, n, generator=made) for n in lengths]
    # What lies in the padding must not matter.
    padded = torch.full((len(lengths), 5, max(lengths)), 7.0)
    for row, each in zip(padded, features, strict=True):
        row[:, : each.shape[1]] = each
    found = model(padded, torch.tensor(lengths))
    for wav, each, n in zip(found, features, lengths, strict=True):
        assert torch.allclose(wav[: 6 * n], model(each[None])[0], atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 80), frames=st.integers(1, 40))
def test_segments_give_what_the_whole_gives(model, length, frames):
    features = torch.randn(2, 5, length, generator=torch.Generator().manual_seed(length))
    found = model.in_segments(features, frames)
    assert torch.allclose(found, model(features), atol=1e-6)


def test_reach_is_no_smaller_than_what_a_frame_moves(model):
    features = torch.zeros(1, 5, 61)
    still = model(features)
    features[..., 30] = 5.0
    moved = (model(features) - still).abs().view(61, 6).amax(1) > 0
    distances = (moved.nonzero() - 30).abs()
    assert 0 < int(distances.max()) <= model.reach < 25


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kernels": (7,)}, "kernels"),
        ({"kernels": (6, 4)}, "kernels"),
        ({"kernels": (1, 4)}, "kernels"),
        ({"channels": 6}, "channels"),
        ({"rates": (), "kernels": ()}, "rates"),
        ({"block_kernels": (3, 4)}, "block_kernels"),
        ({"block_dilations": ((1, 3),)}, "block_dilations"),
        ({"block_dilations": ((1, 0), (1, 2))}, "block_dilations"),
        ({"in_channels": 0}, "in_channels"),
    ],
)
def test_impossible_sizes_are_named(change, named):
    with pytest.raises(ValueError, match=named):
        HiFiGANConfig(**{**vars(SMALL), **change})
