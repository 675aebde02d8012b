from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gslm import cpc
from gslm.cpc import CPC, ChannelNorm, CPCConfig
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import save
from slmcore.roles import Encoder
from tests.reference.goldens import noise
from tests.reference.gslm_encoders import cpc_content


def small() -> CPC:
    torch.manual_seed(0)
    return CPC(CPCConfig(channels=6, dim=8, layers=3)).eval()


MODEL = small()


def whole(wav: torch.Tensor, layer: int) -> torch.Tensor:
    with torch.no_grad():
        return MODEL(wav, layer)[0]


@given(
    lengths=st.lists(st.one_of(st.integers(159, 4000), st.integers(63_500, 64_500)), min_size=1, max_size=4),
    layer=st.sampled_from([None, 1, 3]),
    seconds=st.sampled_from([math.inf, 4.0, 0.1]),
)
@settings(max_examples=25, deadline=None)
def test_batches_give_each_what_it_gets_alone(lengths: list[int], layer: int | None, seconds: float) -> None:
    wavs = [noise(length, seed) for seed, length in enumerate(lengths)]
    together = MODEL.features_batch(wavs, 16000, layer, seconds)
    assert [len(x) for x in together] == [(length + 1) // 160 for length in lengths]
    for wav, found in zip(wavs, together, strict=True):
        torch.testing.assert_close(found, MODEL.features(wav, 16000, layer), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("samples", [159, 160, 318, 319, 16007, 63_999])
def test_up_to_a_chunk_it_is_one_pass(samples: int) -> None:
    wav = noise(samples, 1)
    torch.testing.assert_close(MODEL.features(wav, 16000), whole(wav, 2), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("samples", [64_000, 64_001, 64_158, 64_159, 127_999, 128_000, 150_000])
def test_full_chunks_are_alone_and_the_rest_is_of_the_whole(samples: int) -> None:
    model = small()
    model.block = 77
    wav = noise(samples, 2)
    chunks = [whole(wav[:, at : at + 64_000], 2) for at in range(0, samples - 63_999, 64_000)]
    expected = torch.cat([*chunks, whole(wav, 2)[400 * len(chunks) :]])
    found = model.features(wav, 16000)
    assert len(found) == (samples + 1) // 160
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_norm_is_by_the_unbiased_variance() -> None:
    norm = ChannelNorm(5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(3, 4, 5)
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (x.var(-1, correction=1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize(("samples", "sr", "needed"), [(158, 16000, 159), (219, 22050, 220)])
def test_audio_shorter_than_a_frame_is_refused(samples: int, sr: int, needed: int) -> None:
    with pytest.raises(ValueError, match=f"at least {needed} samples long"):
        MODEL.features(noise(samples, 1), sr)
    assert MODEL.features(noise(needed, 1), sr).shape == (1, 8)


@pytest.mark.parametrize("layer", [0, 4, True, "1"])
def test_a_layer_that_is_not_there_is_refused(layer: Any) -> None:
    with pytest.raises(ValueError, match="`layer` must be None or a number from 1 to 3"):
        MODEL.features(noise(4000, 1), 16000, layer)


def test_half_precision_is_close_and_norms_stay_float32() -> None:
    half = small().to(torch.bfloat16)
    assert half.convolutions[0].norm.weight.dtype == torch.float32
    found, expected = half.features(noise(8000, 1), 16000), MODEL.features(noise(8000, 1), 16000)
    assert found.dtype == torch.float32
    assert float((found - expected).square().mean().sqrt() / expected.std()) < 0.08


def test_keys_of_training_are_ignored_and_the_projects_format_keeps_everything(tmp_path: Path) -> None:
    content = cpc_content("gslm_cpc_small")
    content["weights"] |= {"cpcCriterion.wPrediction.predictors.0.weight": torch.zeros(3)}
    torch.save(content, tmp_path / "model.pt")
    model = cpc.load(tmp_path / "model.pt")
    save(tmp_path / "model.safetensors", model.checkpoint())
    again = CPC.from_pretrained(tmp_path / "model.safetensors")
    wav = noise(4000, 1)
    assert torch.equal(again.features(wav, 16000), model.features(wav, 16000))
    assert again.config == CPCConfig(channels=24, dim=32, layers=4)
    assert isinstance(again, Encoder)


def test_a_file_without_a_layer_is_refused(tmp_path: Path) -> None:
    content = cpc_content("gslm_cpc_small")
    del content["weights"]["gEncoder.conv3.weight"]
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"missing convolutions\.3\.weight"):
        cpc.load(tmp_path / "model.pt")
