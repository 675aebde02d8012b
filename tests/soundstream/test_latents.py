from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.files.checkpoint import save
from soundstream import LatentStatistics, SoundStream, load
from tests.reference.soundstream import noise, small

RATE = 600


def measured(name: str = "causal") -> SoundStream:
    codec = small(name)
    codec.measure_latents([noise(1, 600, seed=n)[0] for n in range(4)], RATE)
    return codec


@pytest.mark.parametrize("name", ["plain", "causal", "mimi"])
def test_latents_have_mean_0_and_deviation_1_where_they_were_measured(name: str) -> None:
    codec = measured(name)
    z = torch.cat([codec.latents(noise(1, 600, seed=n), RATE)[0] for n in range(4)], 1)
    assert torch.allclose(z.mean(1), torch.zeros(8), atol=1e-4)
    assert torch.allclose(z.std(1, unbiased=False), torch.ones(8), atol=1e-3)


def test_the_way_back_is_the_decoder_of_the_plain_latents() -> None:
    codec, wav = measured(), noise(2, 250)
    z = codec.latents(wav, RATE)
    assert z.shape == (2, 8, 42)
    plain = codec.encode_latents(wav, RATE)
    assert torch.allclose(codec.from_latents(z, 250), codec.decode_latents(plain, 250), atol=1e-5)
    assert torch.allclose(codec.latent_scale.denormalise(z), plain, atol=1e-5)
    codes = codec.encode(wav, RATE)
    assert torch.equal(codec.decode(codes), codec.decode_latents(codec.dequantize(codes)))
    assert torch.equal(codec.quantize(plain), codes)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(lambda some: sum(some) >= 2))
def test_statistics_of_parts_are_those_of_numpy(lengths: list[int]) -> None:
    made = np.random.RandomState(sum(lengths)).standard_normal((3, sum(lengths))) * [[1], [10], [0.1]] + [
        [5],
        [0],
        [-1],
    ]
    parts = np.split(made, np.cumsum(lengths)[:-1], axis=1)
    statistics = LatentStatistics(3)
    for part in parts:
        statistics.add(torch.from_numpy(part))
    report = statistics.report()
    assert report.frames == made.shape[1]
    assert np.allclose(report.mean, made.mean(1))
    assert np.allclose(report.deviation, made.std(1))
    z = (made - made.mean(1, keepdims=True)) / made.std(1, keepdims=True)
    assert report.largest == pytest.approx(np.abs(z).max(), rel=1e-6)
    shares = np.linalg.eigvalsh(z @ z.T / z.shape[1]).clip(1e-300) / 3
    assert report.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)


def test_rank_and_lag_of_known_latents() -> None:
    draw = torch.Generator().manual_seed(0)
    statistics = LatentStatistics(4)
    walk = torch.randn(1, 20_000, generator=draw)
    for i in range(1, walk.shape[1]):
        walk[0, i] = 0.9 * walk[0, i - 1] + (1 - 0.81) ** 0.5 * walk[0, i]
    # One independent channel thrice: rank 1; the correlation of a frame with the next is 0.9.
    statistics.add(torch.cat([walk, 3 * walk, -walk, walk + 2]))
    report = statistics.report()
    assert report.effective_rank == pytest.approx(1, abs=1e-3)
    assert report.lag_1 == pytest.approx(0.9, abs=0.02)
    white = LatentStatistics(4)
    white.add(torch.randn(4, 20_000, generator=draw))
    assert white.report().effective_rank == pytest.approx(4, abs=0.01)
    assert white.report().lag_1 == pytest.approx(0, abs=0.02)


def test_the_scale_is_kept_with_the_weights_and_stays_float32(tmp_path: Path) -> None:
    codec = measured()
    save(tmp_path / "codec.safetensors", codec.checkpoint())
    again = load(tmp_path / "codec.safetensors")
    wav = noise(1, 200)
    assert torch.equal(again.latents(wav, RATE), codec.latents(wav, RATE))
    half = again.to(torch.bfloat16)
    assert half.latent_scale.mean.dtype == torch.float32
    assert half.latents(wav, RATE).dtype == torch.float32
    assert half.from_latents(half.latents(wav, RATE)).shape == (1, 204)


def test_a_file_without_a_scale_loads_and_says_what_is_missing(tmp_path: Path) -> None:
    found = measured().checkpoint()
    earlier = {key: value for key, value in found.state.items() if not key.startswith("latent_scale")}
    save(tmp_path / "codec.safetensors", replace(found, state=earlier))
    codec = load(tmp_path / "codec.safetensors")
    assert torch.equal(codec.encode(noise(1, 200), RATE), measured().encode(noise(1, 200), RATE))
    for call in (lambda: codec.latents(noise(1, 200), RATE), lambda: codec.from_latents(torch.zeros(1, 8, 3))):
        with pytest.raises(ValueError, match=r"statistics of its latents, but is 'one without'\. Measure them"):
            call()


def test_a_channel_that_does_not_vary_is_not_blown_up() -> None:
    codec, statistics = small("causal"), LatentStatistics(8)
    statistics.add(torch.cat([torch.randn(7, 50), torch.full((1, 50), 3.0)]))
    codec.latent_scale.set(statistics.report())
    assert float(codec.latent_scale.deviation[7]) == 1
    assert bool(torch.isfinite(codec.latents(noise(1, 100), RATE)).all())


@pytest.mark.parametrize("wrong", [torch.zeros(1, 7, 3), torch.zeros(8, 3), torch.zeros(1, 8)])
def test_latents_of_another_width_are_named(wrong: torch.Tensor) -> None:
    codec = measured()
    for call in (codec.from_latents, codec.decode_latents, codec.quantize):
        with pytest.raises(ValueError, match=r"`latents` must be \(B, 8, frames\), but is a tensor of"):
            call(wrong)


def test_what_cannot_be_measured_is_named() -> None:
    statistics = LatentStatistics(2)
    for wrong, message in ((torch.zeros(3, 4), r"\(2, frames\)"), (torch.full((2, 4), torch.nan), "finite")):
        with pytest.raises(ValueError, match=message):
            statistics.add(wrong)
    statistics.add(torch.zeros(2, 1))
    with pytest.raises(ValueError, match="of two frames or more, but is 'of 1'"):
        statistics.report()
    with pytest.raises(ValueError, match="two frames or more"):
        small("causal").measure_latents([], RATE)


@pytest.mark.parametrize("rate", [0, -16000, 16000.5])
def test_a_rate_that_cannot_be_is_named(rate: float) -> None:
    with pytest.raises((ValueError, TypeError), match="`sr` must be"):
        measured().latents(noise(1, 200), rate)  # pyright: ignore[reportArgumentType]
