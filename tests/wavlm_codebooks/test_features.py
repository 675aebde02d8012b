from __future__ import annotations

import math
import re
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.encoders.waveforms import Windows, cuts, windowed
from tests.reference.wavlm import noise, small_model
from wavlm_codebooks.wavlm import WavLM

MODEL = small_model()


def spread(x: torch.Tensor, y: torch.Tensor) -> float:
    """Largest difference, in standard deviations."""
    assert x.shape == y.shape
    return float((x - y).abs().max() / y.std())


@given(
    lengths=st.lists(st.integers(320, 9000), min_size=1, max_size=5),
    layer=st.sampled_from([None, 1, 4]),
    seconds=st.sampled_from([math.inf, 1.0, 0.1]),
)
@settings(max_examples=30, deadline=None)
def test_batches_give_each_what_it_gets_alone(lengths: list[int], layer: int | None, seconds: float) -> None:
    wavs = [noise(length, seed) for seed, length in enumerate(lengths)]
    together = MODEL.features_batch(wavs, 16000, layer, seconds)
    assert [len(x) for x in together] == [length // 320 for length in lengths]
    for wav, found in zip(wavs, together, strict=True):
        assert spread(found, MODEL.features(wav, 16000, layer)) < 2e-5


def test_what_lies_beyond_the_length_is_not_heard() -> None:
    wav, lengths = torch.cat([noise(8000), noise(8000, 8)]), torch.tensor([8000, 3207])
    with torch.no_grad():
        alone, found = MODEL(wav[1:, :3207]), MODEL(wav, lengths)[1:, :10]
    assert spread(found, alone) < 2e-5


def test_batch_takes_flat_wavs_and_keeps_the_order_of_long_and_short() -> None:
    model = small_model()
    model.windows = Windows(whole=1.0, window=0.5, context=0.2)
    wavs = [noise(n, n)[0] for n in (4000, 40000, 6000)]
    found = model.features_batch(wavs, 16000, 2)
    assert [len(x) for x in found] == [12, 125, 18]
    assert spread(found[2], MODEL.features(wavs[2][None], 16000, 2)) < 2e-5
    assert MODEL.features_batch([], 16000) == []


def test_layers_are_the_blocks_in_turn_and_later_ones_are_not_run() -> None:
    calls: list[int] = []
    hooks = [block.register_forward_hook(lambda *_, i=i: calls.append(i)) for i, block in enumerate(MODEL.blocks, 1)]
    outputs = [MODEL.features(noise(4000), 16000, layer) for layer in (1, 2, 3, 4, None)]
    for hook in hooks:
        hook.remove()
    assert calls == [1, 1, 2, 1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4]
    torch.testing.assert_close(MODEL.output_norm(outputs[3]), outputs[4])


@pytest.mark.parametrize("layer", [0, 5, -1, True, 1.0, "1"])
def test_a_layer_that_is_not_there_is_refused(layer: object) -> None:
    with pytest.raises(ValueError, match=re.escape("`layer` must be None or a block number from 1 to 4")):
        MODEL.features(noise(4000), 16000, layer)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("wav", "sr", "error", "message"),
    [
        (torch.zeros(2, 4000), 16000, ValueError, "mean"),
        (torch.zeros(1, 1, 4000), 16000, ValueError, "(1, samples)"),
        (torch.zeros(()), 16000, ValueError, "(1, samples)"),
        (torch.zeros(1, 4000, dtype=torch.int16), 16000, TypeError, "32768"),
        (np.zeros((1, 4000), np.float32), 16000, TypeError, "tensor"),
        (torch.full((1, 4000), torch.nan), 16000, ValueError, "NaN"),
        (torch.full((1, 4000), torch.inf), 16000, ValueError, "NaN"),
        (torch.zeros(1, 319), 16000, ValueError, "20 ms"),
        (torch.zeros(1, 0), 16000, ValueError, "20 ms"),
        (torch.zeros(1, 600), 44100, ValueError, "20 ms"),
        (torch.zeros(1, 4000), 0, ValueError, "`sr`"),
        (torch.zeros(1, 4000), -16000, ValueError, "`sr`"),
        (torch.zeros(1, 4000), 22050.5, ValueError, "`sr`"),
    ],
)
def test_a_wav_that_cannot_be_used(wav: torch.Tensor, sr: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        MODEL.features(wav, sr)


@pytest.mark.parametrize("sr", [8000, 11025, 16000, 22050, 44100, 48000])
def test_the_shortest_audio_gives_a_frame_at_every_rate(sr: int) -> None:
    assert MODEL.features(noise(-(-sr // 50)), sr).shape == (1, 64)


@given(frames=st.integers(1, 400), window=st.integers(1, 90), context=st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_cuts_keep_each_frame_once_and_know_their_context(frames: int, window: int, context: int) -> None:
    found = list(cuts(frames, window, context))
    assert [i for cut in found for i in range(cut.start, cut.end)] == list(range(frames))
    for cut in found:
        assert cut.first == max(0, cut.start - context)
        assert cut.last == min(frames, cut.end + context)
        assert cut.end - cut.start <= window


@pytest.mark.parametrize("samples", [16000, 16159, 31999])
def test_the_frontend_is_the_same_in_windows(samples: int) -> None:
    padded = torch.nn.functional.pad(noise(samples)[0], (40, 40))
    with torch.no_grad():
        whole = MODEL.frontend(padded[None, :, None])[0]
        pieces = windowed(lambda x: MODEL.frontend(x[None, :, None])[0], padded, 320, 400, 13, 4)
    assert len(pieces) == samples // 320
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-5)


def test_long_audio_has_as_many_frames_as_in_one_piece_and_nearly_the_same() -> None:
    model, wav = small_model(), noise(16000 * 13 + 17)
    whole = model.features(wav, 16000, 2)
    model.windows = Windows(whole=12.0, window=6.0, context=1.0)
    long = model.features(wav, 16000, 2)
    assert not torch.equal(long, whole)
    assert long.shape == whole.shape
    # Attention reaches over the cut, so that the two can only be close.
    assert float((long - whole).square().mean().sqrt() / whole.std()) < 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_and_norms_stay_float32(dtype: torch.dtype) -> None:
    wav = noise(16000)
    whole = MODEL.features(wav, 16000)
    half = small_model().to(dtype)
    assert half.input_proj.weight.dtype == dtype
    assert half.input_norm.weight.dtype == half.position_bias.weight.dtype == torch.float32
    found = half.features(wav, 16000)
    assert found.dtype == torch.float32
    assert float((found - whole).square().mean().sqrt() / whole.std()) < (0.05 if dtype == torch.bfloat16 else 0.01)


def test_masked_frames_get_the_mask_embedding_and_gradients_flow_everywhere() -> None:
    model = small_model()
    wav, mask = torch.cat([noise(6400), noise(6400, 8)]), torch.zeros(2, 20, dtype=torch.bool)
    mask[:, 5:9] = True
    changed = wav.clone()
    # Frames 6 and 7 see these samples and no other frame does but 5 and 8.
    changed[:, 6 * 320 : 8 * 320 - 40] += 1
    torch.testing.assert_close(model(wav, mask=mask), model(changed, mask=mask))
    model(wav, torch.tensor([6400, 3200]), mask=mask).square().sum().backward()
    missing = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    # A bias on all keys alike changes no attention.
    assert all("k_proj.bias" in name for name in missing)


@pytest.mark.slow
def test_thirty_minutes_stay_within_bounded_memory() -> None:
    import resource

    model: WavLM = small_model()
    wav = noise(16000 * 1800)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert model.features(wav, 16000).shape == (90_000, 64)
    # In one piece the position bias alone would take 4 x 90000 x 90000 floats, 130 GB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1.5e6


def test_layers_may_be_numbers_of_numpy():
    model, wav = small_model(), noise(4000)
    assert torch.equal(model.features(wav, 16000, np.int64(2)), model.features(wav, 16000, 2))
    for wrong in (True, 2.0, 0, model.num_layers + 1, "2"):
        with pytest.raises(ValueError, match="layer"):
            model.features(wav, 16000, wrong)


@pytest.mark.parametrize(("layer", "masked"), [(None, False), (None, True), (2, False), (2, True)])
def test_unused_parameters_are_those_without_a_gradient(layer, masked):
    model = small_model()
    wav = noise(4000)
    mask = torch.zeros(1, model.num_frames(4000), dtype=torch.bool)
    mask[0, 3] = True
    model(wav, layer=layer, mask=mask if masked else None).square().sum().backward()
    unused = model.unused_parameters(layer, masked)
    assert {id(p) for p in unused} == {id(p) for p in model.parameters() if p.grad is None}


@pytest.mark.parametrize("freeze", [True, False])
def test_training_on_several_devices_needs_unused_parameters_frozen(tmp_path, freeze):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = small_model()
        for parameter in model.unused_parameters(2) if freeze else []:
            parameter.requires_grad_(False)
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        with nullcontext() if freeze else pytest.raises(RuntimeError, match="finished reduction"):
            for _ in range(2):
                parallel(noise(4000), layer=2).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
