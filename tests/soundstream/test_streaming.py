from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.reference.soundstream import noise, small

MODELS = {name: small(name).double() for name in ("causal", "projected", "mimi")}
cuts = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def held(state: dict) -> int:
    """Numbers that a state keeps."""
    values = [v for value in state.values() for v in (value if isinstance(value, tuple) else (value,))]
    return sum(value.untyped_storage().nbytes() for value in values)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25, deadline=None)
@given(sizes=cuts, batch=st.integers(1, 2), bandwidth=st.sampled_from([None, 0.5]))
def test_any_cut_gives_what_the_whole_gives(name: str, sizes: list[int], batch: int, bandwidth: float | None):
    model, total = MODELS[name], max(1, sum(sizes))
    wav = noise(batch, total, seed=total).double()
    stream = model.streaming(bandwidth)
    parts = [stream.encode(chunk) for chunk in wav.split(sizes if sum(sizes) else [total], 1)]
    assert stream.waiting == total % model.hop
    codes = torch.cat([*parts, stream.flush()], -1)
    whole = model.encode(wav, 600, bandwidth)
    assert codes.shape == (batch, whole.shape[1], -(-total // model.hop))
    assert torch.equal(codes, whole)
    spoken = [stream.decode(chunk) for chunk in codes.split(max(1, sizes[0] % 5), -1)]
    assert torch.allclose(torch.cat(spoken, -1), model.decode(codes), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_float32_agrees_to_a_part_in_a_hundred_thousand(name: str):
    model, wav = small(name), noise(1, 1500)
    codes = model.encode(wav, 600)
    for frames in (1, 3, 60):
        stream = model.streaming()
        codes_of_chunks = [stream.encode(chunk) for chunk in wav.split(frames * model.hop, 1)]
        assert (torch.cat(codes_of_chunks, -1) == codes).float().mean() > 0.995
        spoken = torch.cat([stream.decode(chunk) for chunk in codes.split(frames, -1)], -1)
        assert (spoken - model.decode(codes)).abs().max() < 1e-5 * model.decode(codes).abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_does_not_grow(name: str):
    model = MODELS[name]
    stream, sizes = model.streaming(), []
    stream.decode(stream.encode(noise(1, 5000).double()))
    for number in range(30):
        codes = stream.encode(noise(1, 2 * model.hop + 1, seed=number).double())
        stream.decode(codes)
        sizes.append(
            held(stream._encoder_state) + held(stream._decoder_state) + stream._waiting.untyped_storage().nbytes()
        )
    assert max(sizes[20:]) <= max(sizes[:20])
    fresh = model.streaming()
    for number in range(20):
        fresh.decode(fresh.encode(noise(1, 2 * model.hop + 1, seed=number).double()))
    assert max(sizes) <= held(fresh._encoder_state) + held(fresh._decoder_state) + model.hop * 8
    assert stream.waiting < model.hop


def test_a_frame_is_coded_when_its_last_sample_is_there():
    model = MODELS["mimi"]
    stream = model.streaming()
    wav = noise(1, 2 * model.hop).double()
    assert [stream.encode(sample).shape[-1] for sample in wav.split(1, 1)] == ([0] * (model.hop - 1) + [1]) * 2
    assert stream.flush().shape == (1, 3, 0)


def test_reset_and_flush_begin_anew():
    model = MODELS["projected"]
    stream, wav = model.streaming(), noise(1, 50).double()
    first = torch.cat([stream.encode(wav), stream.flush()], -1)
    again = torch.cat([stream.encode(wav), stream.flush()], -1)
    assert torch.equal(first, again)
    speech = stream.decode(first)
    assert not torch.equal(stream.decode(first), speech)
    stream.encode(wav)
    stream.reset()
    assert torch.equal(torch.cat([stream.encode(wav), stream.flush()], -1), first)
    assert torch.allclose(stream.decode(first), speech)
    assert model.streaming().flush().shape == (0, 3, 0)


def test_two_streams_do_not_hear_each_other():
    model, wavs = MODELS["mimi"], noise(2, 120).double()
    streams = [model.streaming(), model.streaming()]
    parts: list[list[Tensor]] = [[], []]
    for chunk in wavs.split(17, 1):
        for i in range(2):
            parts[i].append(streams[i].encode(chunk[i : i + 1]))
    for i in range(2):
        assert torch.equal(torch.cat([*parts[i], streams[i].flush()], -1), model.encode(wavs[i : i + 1], 600))


def test_a_codec_that_looks_ahead_refuses_and_says_how_to_train_one():
    with pytest.raises(ValueError, match=r"causal=False, pad_mode='reflect'\. Train one with causal=True"):
        small("plain").streaming()


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (torch.zeros(4), r"\(1, samples\), but is a torch.float32 tensor of \(4,\)"),
        (torch.zeros(2, 4), "of 1 sounds, as before, but is a chunk of 2"),
        (torch.zeros(1, 4, dtype=torch.int16), "float tensor"),
        ([0.0], "float tensor"),
    ],
)
def test_a_wrong_chunk_is_named(chunk, message):
    stream = MODELS["causal"].streaming()
    stream.encode(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=message):
        stream.encode(chunk)


def test_wrong_codes_are_named():
    stream = MODELS["causal"].streaming()
    with pytest.raises(ValueError, match="from 0 to 15"):
        stream.decode(torch.full((1, 3, 2), 16))
    with pytest.raises(ValueError, match="of 1 to 3 levels"):
        stream.decode(torch.zeros(1, 4, 2, dtype=torch.int64))
