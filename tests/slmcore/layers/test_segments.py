from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.layers.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from slmcore.layers.segments import reach

seanets = st.builds(
    SEANetConfig,
    strides=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    n_filters=st.just(4),
    dimension=st.just(5),
    residual_layers=st.integers(0, 2),
    lstm_layers=st.integers(0, 1),
    bidirectional=st.booleans(),
    causal=st.booleans(),
    pad_mode=st.sampled_from(["reflect", "constant"]),
)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(config=seanets, frames=st.integers(1, 30), samples=st.integers(1, 400), items=st.integers(1, 5))
def test_segments_give_what_the_whole_gives(config: SEANetConfig, frames: int, samples: int, items: int):
    encoder, decoder = SEANetEncoder(config).double(), SEANetDecoder(config).double()
    wav = noise(items, samples)
    latents = encoder(wav)
    assert torch.allclose(encoder.in_segments(wav, frames), latents, atol=1e-10)
    assert torch.allclose(decoder.in_segments(latents, frames), decoder(latents), atol=1e-10)


def test_no_convolution_sees_more_than_a_segment_and_its_reach():
    config = SEANetConfig(strides=(2, 4, 5, 8), n_filters=2, dimension=4)
    encoder, decoder, seen = SEANetEncoder(config), SEANetDecoder(config), []
    margins = [reach(encoder.model[:-3].modules(), 320), reach(decoder.model[2:].modules(), 1)]
    assert all(2 < margin < 12 for margin in margins)
    encoder.model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1] / 320))
    decoder.model[-1].register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1] / 320))
    decoder.in_segments(encoder.in_segments(noise(1, 320 * 300).float(), 50), 50)
    assert len(seen) == 12
    assert max(seen) == 50 + 2 * max(margins)


@pytest.mark.parametrize(("items", "frames", "calls"), [(4, 50, 2), (5, 60, 5), (3, 33, 1), (7, 30, 3)])
def test_a_batch_counts_with_all_its_items(items: int, frames: int, calls: int):
    config = SEANetConfig(strides=(2, 4), n_filters=2, dimension=4, lstm_layers=1)
    encoder, seen, recurrent = SEANetEncoder(config), [], []
    encoder.model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    encoder.model[-3].register_forward_hook(lambda module, inputs, output: recurrent.append(output.shape))
    encoder.in_segments(noise(items, 8 * frames).float(), 100)
    assert len(seen) == calls
    assert max(shape[0] * shape[-1] for shape in seen) <= 8 * 100
    assert sum(shape[0] for shape in seen) == items
    assert [shape[0] for shape in recurrent] == [items]


@pytest.mark.parametrize("stride", [1, 3])
def test_reach_counts_every_step_at_its_rate(stride: int):
    """Kernel 7 at the rate of samples; kernel 3 there in the block; 2 * stride; then kernel 7 at the frame rate."""
    config = SEANetConfig(strides=(stride,), n_filters=2, dimension=4, lstm_layers=0)
    wanted = 6 + 2 + (2 * stride - 1) + 6 * stride
    assert reach(SEANetEncoder(config).modules(), stride) == -(-wanted // stride)
