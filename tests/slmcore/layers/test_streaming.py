from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.layers.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from slmcore.layers.streaming import Conv1d, ConvTranspose1d, ResidualLSTM, State, pad


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cut(total: int, sizes: list[int]) -> list[int]:
    """`sizes` over and over until they add up to `total`."""
    made: list[int] = []
    for size in itertools.cycle(sizes):
        if sum(made) >= total:
            return made
        made.append(min(size, total - sum(made)))
    raise AssertionError


@pytest.mark.parametrize(("length", "left", "right"), list(itertools.product([1, 2, 5, 9], [0, 1, 4], [0, 3, 6])))
def test_padding_reflects_the_zero_extended_sequence(length: int, left: int, right: int):
    x = torch.arange(1.0, length + 1)
    extended = x.tolist() + [0.0] * max(0, max(left, right) - length + 1)
    last = len(extended) - 1
    full = [extended[abs(i) if i <= last else 2 * last - i] for i in range(-left, last + 1 + right)]
    expected = full[: len(full) - (len(extended) - length)]
    assert pad(x[None, None], left, right, "reflect").flatten().tolist() == expected
    zeros = [0.0] * left + x.tolist() + [0.0] * right
    assert pad(x[None, None], left, right, "constant").flatten().tolist() == zeros
    edges = [1.0] * left + x.tolist() + [float(length)] * right
    assert pad(x[None, None], left, right, "replicate").flatten().tolist() == edges


convs = st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["constant", "replicate"]))
chunks = st.lists(st.integers(1, 6), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(shape=convs, sizes=chunks, frames=st.integers(1, 25))
def test_a_convolution_in_chunks_is_the_whole(shape: tuple[int, int, int, str], sizes: list[int], frames: int):
    kernel, dilation, stride, mode = shape
    stride = min(stride, kernel)
    conv = Conv1d(2, 3, kernel, stride, dilation, causal=True, pad_mode=mode).double()
    x, state = noise(2, 2, frames * stride), State()
    whole = conv(x)
    assert whole.shape == (2, 3, frames)
    parts = [conv(chunk, state) for chunk in x.split([n * stride for n in cut(frames, sizes)], -1)]
    assert torch.allclose(torch.cat(parts, -1), whole, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(stride=st.integers(1, 5), more=st.integers(0, 6), sizes=chunks, frames=st.integers(1, 12), bias=st.booleans())
def test_a_transposed_convolution_in_chunks_is_the_whole(stride, more, sizes, frames, bias):
    conv = ConvTranspose1d(2, 4, stride + more, stride, groups=2, bias=bias, causal=True).double()
    x, state = noise(2, 2, frames), State()
    parts = [conv(chunk, state) for chunk in x.split(cut(frames, sizes), -1)]
    assert torch.allclose(torch.cat(parts, -1), conv(x), atol=1e-12)


@pytest.mark.parametrize(("causal", "first"), [(True, 0), (False, 2)])
def test_a_transposed_convolution_is_cut_at_the_end_or_at_both(causal: bool, first: int):
    conv = ConvTranspose1d(1, 1, 5, 2, causal=causal).double()
    full = torch.nn.functional.conv_transpose1d(noise(1, 1, 4), conv.weight, conv.bias, 2)
    assert torch.equal(conv(noise(1, 1, 4)), full[..., first : first + 8])


def test_states_are_of_their_own():
    conv, lstm = Conv1d(1, 1, 3, causal=True, pad_mode="constant").double(), ResidualLSTM(2, 2).double()
    first, second = State(), State()
    conv(noise(1, 1, 5), first)
    lstm(noise(1, 2, 5), first)
    assert torch.equal(conv(noise(1, 1, 4, seed=1), second), conv(noise(1, 1, 4, seed=1)))
    assert not torch.equal(conv(noise(1, 1, 4, seed=1), first), conv(noise(1, 1, 4, seed=1)))
    assert torch.allclose(lstm(noise(1, 2, 3), second), lstm(noise(1, 2, 3)))
    assert set(first) == set(second) == {conv, lstm}


MODULES = [
    Conv1d(1, 1, 3, causal=False, pad_mode="constant"),
    Conv1d(1, 1, 3, causal=True, pad_mode="reflect"),
    ConvTranspose1d(1, 1, 4, 2, causal=False),
    ResidualLSTM(1, 1, bidirectional=True),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_what_looks_ahead_cannot_be_streamed(module):
    with pytest.raises(ValueError, match=r"must be causal .* causal=True and pad_mode='constant'"):
        module(torch.zeros(1, 1, 4), State())


def test_a_chunk_of_no_whole_stride_is_refused():
    conv = Conv1d(1, 1, 4, 2, causal=True, pad_mode="constant")
    with pytest.raises(ValueError, match="a multiple of 2 samples long, but is 3"):
        conv(torch.zeros(1, 1, 3), State())


seanets = st.builds(
    SEANetConfig,
    strides=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    n_filters=st.just(4),
    dimension=st.just(6),
    residual_layers=st.integers(0, 2),
    kernel=st.sampled_from([3, 7]),
    last_kernel=st.sampled_from([3, 7]),
    shortcut=st.booleans(),
    activation=st.sampled_from(["ELU", "Snake"]),
    lstm_layers=st.integers(0, 2),
    causal=st.just(True),
    pad_mode=st.just("constant"),
)


@settings(max_examples=25, deadline=None)
@given(config=seanets, sizes=chunks, frames=st.integers(1, 12))
def test_a_codec_in_chunks_is_the_whole(config: SEANetConfig, sizes: list[int], frames: int):
    encoder, decoder = SEANetEncoder(config).double(), SEANetDecoder(config).double()
    wav, encoder_state, decoder_state = noise(2, frames * config.hop), State(), State()
    latents = encoder(wav)
    assert config.streamable
    assert latents.shape == (2, 6, frames)
    lengths = cut(frames, sizes)
    chunked = torch.cat(
        [encoder(chunk, encoder_state) for chunk in wav.split([n * config.hop for n in lengths], -1)], -1
    )
    assert torch.allclose(chunked, latents, atol=1e-10)
    whole = decoder(latents)
    assert whole.shape == wav.shape
    assert torch.allclose(
        torch.cat([decoder(c, decoder_state) for c in latents.split(lengths, -1)], -1), whole, atol=1e-10
    )


@settings(max_examples=25, deadline=None)
@given(causal=st.booleans(), mode=st.sampled_from(["reflect", "constant"]), samples=st.integers(1, 60))
def test_a_frame_for_every_hop_begun(causal: bool, mode: str, samples: int):
    config = SEANetConfig(
        strides=(3, 2), n_filters=2, dimension=4, bidirectional=not causal, causal=causal, pad_mode=mode
    )
    latents = SEANetEncoder(config).double()(noise(1, samples))
    assert latents.shape == (1, 4, -(-samples // 6))
    assert SEANetDecoder(config).double()(latents).shape == (1, latents.shape[-1] * 6)
    assert config.streamable == (causal and mode == "constant")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": ()}, "`strides` must be one or more whole numbers >= 1"),
        ({"strides": (2, 0)}, "`strides`"),
        ({"n_filters": 3}, r"a multiple of compress \(2\), but is 3"),
        ({"dimension": 0}, "`dimension`"),
        ({"lstm_layers": -1}, "`lstm_layers` must be a whole number >= 0"),
        ({"activation": "relu"}, "one of ELU, Snake, but is 'relu'"),
        ({"pad_mode": "replicate"}, "`pad_mode`"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SEANetConfig(**{"strides": (2,), "n_filters": 4, "dimension": 8} | change)
