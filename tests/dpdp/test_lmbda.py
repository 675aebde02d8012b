from __future__ import annotations

import pytest
import torch

from dpdp import DPDPQuantizer, bits_per_second, fit_lmbda, sweep
from slmcore.units import Units

CODES, DIM = 24, 8


def speech_like(frames: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codebook = torch.randn(CODES, DIM, generator=generator) * 3
    held = torch.randint(CODES, (frames // 5 + 1,), generator=generator).repeat_interleave(5)[:frames]
    return codebook[held] + 2 * torch.randn(frames, DIM, generator=generator), codebook


def rate(units: Units) -> float:
    return len(units) / units.seconds


@pytest.mark.parametrize("n", [None, 6])
def test_sweep_is_each_lambda_alone(n: int | None) -> None:
    features, codebook = speech_like(300)
    lmbdas = [0.0, 3.0, 40.0, 1e5]
    batch = [features, features[:100], features[7:8]]
    found = sweep(features, codebook, lmbdas, n)
    found_in_batch = sweep(batch, codebook, lmbdas, n, frame_rate=100.0)
    for lmbda, units, several in zip(lmbdas, found, found_in_batch, strict=True):
        quantizer = DPDPQuantizer(codebook, lmbda, n)
        assert torch.equal(units.framewise(), quantizer(features)[1])
        for x, one in zip(batch, several, strict=True):
            assert torch.equal(one.framewise(), quantizer(x)[1]) and one.frame_rate == 100.0
    assert [len(x) for x in found] == sorted((len(x) for x in found), reverse=True)


@pytest.mark.parametrize(("wanted", "n"), [(4.0, None), (12.5, None), (20.0, None), (12.5, 6), (20.0, 6)])
def test_fit_reaches_a_rate(wanted: float, n: int | None) -> None:
    features, codebook = speech_like(3000)
    lmbda = fit_lmbda(features, codebook, wanted, num_neighbors=n)
    found = DPDPQuantizer(codebook, lmbda, n).segment(features)
    assert rate(found) == pytest.approx(wanted, rel=0.005)


def test_fit_reaches_a_bit_rate_over_many_utterances() -> None:
    features, codebook = speech_like(3000)
    batch = list(features.split(500))
    lmbda = fit_lmbda(batch, codebook, bitrate=40.0, frame_rate=50.0)
    assert bits_per_second(DPDPQuantizer(codebook, lmbda).segment(batch)) == pytest.approx(40.0, rel=0.01)


def test_the_ends_of_the_range_are_reached_and_not_passed() -> None:
    features, codebook = speech_like(500)
    nearest = rate(sweep(features, codebook, [0.0])[0])
    assert fit_lmbda(features, codebook, nearest) == 0.0
    floor = fit_lmbda(features, codebook, 50 / 500)
    assert len(DPDPQuantizer(codebook, floor).segment(features)) == 1
    limited_floor = rate(sweep(features, codebook, [1e9], 3)[0])
    with pytest.raises(ValueError, match=rf"`units_per_second` must be in {limited_floor:.4g}\.\..* but is 0.1"):
        fit_lmbda(features, codebook, 0.1, num_neighbors=3)
    with pytest.raises(ValueError, match=rf"\.\.{nearest:.4g}, which is what .* but is 51"):
        fit_lmbda(features, codebook, 51.0)
    with pytest.raises(ValueError, match="`bitrate` must be in"):
        fit_lmbda(features, codebook, bitrate=1e4)


def test_the_bit_rate_is_units_times_entropy() -> None:
    four = Units(torch.tensor([0, 1, 0, 1]), torch.tensor([10, 15, 10, 15]), 50.0)
    assert bits_per_second([four]) == pytest.approx(4 * 1.0 / 1.0)
    assert bits_per_second([four, four]) == pytest.approx(4.0)
    assert bits_per_second([Units(torch.tensor([3]), torch.tensor([50]), 50.0)]) == 0


@pytest.mark.parametrize("rates", [{}, {"units_per_second": 5.0, "bitrate": 5.0}])
def test_exactly_one_rate(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Exactly one"):
        fit_lmbda(*speech_like(20), **rates)


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan"), float("inf"), "5"])
def test_wrong_rates(wanted: float) -> None:
    with pytest.raises(ValueError, match="must be a finite number > 0"):
        fit_lmbda(*speech_like(20), bitrate=wanted)


def test_wrong_sweeps() -> None:
    features, codebook = speech_like(20)
    with pytest.raises(ValueError, match="`lmbdas` must be"):
        sweep(features, codebook, [])
    with pytest.raises(ValueError, match="`lmbda` must be"):
        sweep(features, codebook, [1.0, -1.0])
    with pytest.raises(ValueError, match="`features` must be"):
        sweep(features[:, :3], codebook, [1.0])
    with pytest.raises(ValueError, match="`frame_rate` must be"):
        sweep(features, codebook, [1.0], frame_rate=0.0)


def test_one_code_or_equal_frames_have_one_rate() -> None:
    features = torch.ones(50, 4)
    assert fit_lmbda(features, torch.zeros(1, 4), 1.0) == 0.0
    assert fit_lmbda(features, torch.ones(3, 4), 1.0) == 0.0
