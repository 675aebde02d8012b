from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpdp import DPDPQuantizer, dpwfst, objective
from slmcore.units import OperatingPoint
from tests.reference.dpdp_brute import limited, optimum


def noise(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def problem() -> tuple[DPDPQuantizer, torch.Tensor]:
    return DPDPQuantizer(noise(12, 8), 6.0), noise(40, 8, seed=1)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_reaches_the_optimum_from_features(data: st.DataObject) -> None:
    """Shifted and scaled features, duplicated codes, zeros, and weights from none to huge."""
    frames, k, d = (data.draw(st.integers(1, most)) for most in (200, 64, 16))
    scale, shift = data.draw(st.sampled_from([0.0, 1e-3, 1.0, 100.0])), data.draw(st.sampled_from([0.0, 10.0, -1e4]))
    codebook = noise(k, d, seed=frames)
    codebook[k // 2 :] = codebook[: k - k // 2].clone() if data.draw(st.booleans()) else codebook[k // 2 :]
    features = noise(frames, d, seed=k)
    codebook, features = codebook * scale + shift, features * scale + shift
    lmbda = data.draw(st.sampled_from([0.0, 0.1, 1.0, 20.0, 1e9])) * max(scale, 1e-3) ** 2
    n = data.draw(st.integers(1, k))
    _, units = DPDPQuantizer(codebook, lmbda, n)(features)
    distances = (features.double()[:, None] - codebook.double()).square().sum(2).numpy()
    # A code that float32 takes for the n-th nearest may be the one after it: each frame's choice lies within rounding.
    own = np.take_along_axis(distances, units.numpy()[:, None], 1)[:, 0]
    slack = 1e-5 * (distances.max() + 1e-30) + 1e-6 * (scale * shift) * abs(d)
    assert (own <= np.sort(distances, 1)[:, n - 1] + abs(slack)).all()
    repeats = int((units[1:] == units[:-1]).sum())
    bound = 1e-5 * (own.sum() + lmbda * repeats) + frames * abs(slack)
    # Of two codes equally near, float32 may leave out the one that the neighbouring frames have.
    nearest = np.sort(distances, 1)
    bound += 2 * lmbda * int((nearest[:, n] == nearest[:, n - 1]).sum()) if n < k else 0
    assert objective(torch.from_numpy(distances), units, lmbda) <= optimum(limited(distances, n), lmbda) + bound


def test_forward_is_the_published_call() -> None:
    quantizer, features = problem()
    features.requires_grad_(True)
    quantized, units = quantizer(features)
    assert units.dtype == torch.int64 and units.shape == (40,)
    torch.testing.assert_close(quantized, quantizer.codebook[units])
    weights = noise(40, 8, seed=2)
    (quantized * weights).sum().backward()
    assert torch.equal(features.grad, weights), "straight through: the gradient passes unchanged"


def test_a_batch_gives_each_utterance_what_it_gets_alone() -> None:
    quantizer, _ = problem()
    lengths = [5, 1, 30, 17]
    alone = [noise(n, 8, seed=n) for n in lengths]
    padded = torch.full((4, 30, 8), torch.nan)
    for row, x in zip(padded, alone, strict=True):
        row[: len(x)] = x
    listed = quantizer.segment(alone)
    for units, *others in zip(
        [quantizer.segment(x) for x in alone],
        listed,
        quantizer.segment(padded, lengths),
        quantizer.segment(padded, torch.tensor(lengths)),
        strict=True,
    ):
        for other in others:
            assert torch.equal(units.units, other.units) and torch.equal(units.durations, other.durations)
    assert [int(x.durations.sum()) for x in listed] == lengths
    assert len(quantizer.segment(noise(3, 6, 8))) == 3


def test_units_carry_rate_and_operating_point() -> None:
    point = OperatingPoint(zoo="demo", k=12, lmbda=6.0)
    quantizer = DPDPQuantizer(noise(12, 8), 6.0, frame_rate=25.0, operating_point=point)
    units = quantizer.segment(noise(50, 8))
    assert units.operating_point == point and units.seconds == 2.0
    assert (units.units[1:] != units.units[:-1]).all()
    assert torch.equal(units.framewise(), quantizer(noise(50, 8))[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_searched_in_float32(dtype: torch.dtype) -> None:
    quantizer, features = problem()
    features = features.to(dtype)
    expected = quantizer(features.float())[1]
    quantized, units = quantizer(features)
    assert quantized.dtype == dtype and torch.equal(units, expected)
    moved = copy.deepcopy(quantizer).to(dtype)
    assert moved.codebook.dtype == torch.float32 and torch.equal(moved.codebook, quantizer.codebook)
    assert torch.equal(moved(features)[1], expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer(features)[1], expected)


def test_the_codebook_may_change() -> None:
    quantizer, features = problem()
    quantizer(features)
    other = DPDPQuantizer(noise(12, 8, seed=9), 6.0)
    expected = other(features)[1]
    assert not torch.equal(quantizer(features)[1], expected)
    quantizer.load_state_dict(other.state_dict())
    assert torch.equal(quantizer(features)[1], expected)
    quantizer.codebook.zero_()
    assert set(quantizer(features)[1].tolist()) == {0}
    quantizer.codebook = other.codebook
    assert torch.equal(pickle.loads(pickle.dumps(quantizer))(features)[1], expected)
    with torch.inference_mode():
        made_there = DPDPQuantizer(other.codebook, 6.0)
        assert torch.equal(made_there(features)[1], expected)
    assert torch.equal(made_there(features)[1], expected)


def test_an_empty_module_is_filled_on_loading() -> None:
    with torch.device("meta"):
        empty = DPDPQuantizer(torch.empty(12, 8), 6.0)
    quantizer, features = problem()
    empty.load_state_dict(quantizer.state_dict(), assign=True)
    assert torch.equal(empty(features)[1], quantizer(features)[1])


def test_the_given_codebook_is_copied() -> None:
    codebook = noise(12, 8)
    quantizer = DPDPQuantizer(codebook, 6.0)
    codebook.zero_()
    assert quantizer.codebook.abs().sum() > 0


def test_dpwfst_always_returns_a_list_of_int32() -> None:
    quantizer, features = problem()
    expected = quantizer(features)[1]
    (units,) = dpwfst(features, quantizer.codebook, 6.0)
    assert units.dtype == torch.int32 and torch.equal(units.long(), expected)
    first, second = dpwfst([features, features[:7]], quantizer.codebook, 6.0, None, True)
    assert first.dtype == torch.int32 and torch.equal(first.long(), expected.unique_consecutive())
    assert torch.equal(second.long(), quantizer(features[:7])[1].unique_consecutive())


@pytest.mark.parametrize("lmbda", [-1, -1e-9, float("nan"), float("inf"), 1e39])
def test_wrong_lambda(lmbda: float) -> None:
    with pytest.raises(ValueError, match="`lmbda` must be a number >= 0"):
        DPDPQuantizer(noise(3, 2), lmbda)
    quantizer = DPDPQuantizer(noise(3, 2), 1.0)
    quantizer.lmbda = lmbda
    with pytest.raises(ValueError, match="`lmbda` must be a number >= 0"):
        quantizer(noise(4, 2))


@pytest.mark.parametrize("n", [0, -1, 4])
def test_wrong_num_neighbors(n: int) -> None:
    with pytest.raises(ValueError, match=r"`num_neighbors` must be in 1\.\.3"):
        DPDPQuantizer(noise(3, 2), 1.0, n)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"lmbda": "1"}, TypeError),
        ({"lmbda": None}, TypeError),
        ({"num_neighbors": 1.5}, TypeError),
        ({"num_neighbors": True}, TypeError),
        ({"frame_rate": 0.0}, ValueError),
        ({"codebook": [[1.0]]}, TypeError),
        ({"codebook": torch.zeros(3, 2, dtype=torch.int64)}, TypeError),
        ({"codebook": torch.zeros(3)}, ValueError),
        ({"codebook": torch.zeros(0, 2)}, ValueError),
        ({"codebook": torch.tensor([[1.0, torch.nan]])}, ValueError),
    ],
)
def test_wrong_quantizers(kwargs: dict, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"`{next(iter(kwargs))}` must be"):
        DPDPQuantizer(**{"codebook": noise(3, 2), "lmbda": 1.0, **kwargs})


WRONG = [
    (torch.zeros(4, 7), ValueError, r"\(T, 8\), but is a torch.float32 tensor of \(4, 7\). The codebook is 8 wide"),
    (torch.zeros(0, 8), ValueError, "at least one frame"),
    (torch.zeros(8), ValueError, r"\(T, 8\)|\(T, D\)"),
    (torch.zeros(4, 8, dtype=torch.int64), TypeError, "floating point"),
    (torch.tensor([[0.0] * 8, [torch.nan] * 8]), ValueError, r"finite, but is a tensor with NaN \(first in frame 1"),
    (torch.full((4, 8), -torch.inf), ValueError, "finite, but is a tensor with infinity"),
    (torch.full((4, 8), 1e19), ValueError, "squared distances fit into float32"),
    (torch.full((4, 8), 1e300, dtype=torch.float64), ValueError, "squared distances fit into float32"),
    (torch.zeros(4, 8, device="meta"), ValueError, r"on the codebook's device \(cpu\), but is a tensor on meta"),
]


@pytest.mark.parametrize(("features", "error", "message"), WRONG)
def test_wrong_features(features: torch.Tensor, error: type[Exception], message: str) -> None:
    quantizer, good = problem()
    for call in (quantizer, quantizer.segment, lambda x: quantizer.segment([good, x])):
        with pytest.raises(error, match=f"`features` must be .*({message.split(' (first', maxsplit=1)[0]})"):
            call(features)
    quantizer(good)


@pytest.mark.parametrize(
    ("features", "lengths"),
    [
        (torch.zeros(2, 5, 8), [5]),
        (torch.zeros(2, 5, 8), [5, 6]),
        (torch.zeros(2, 5, 8), [5, 0]),
        (torch.zeros(5, 8), [5]),
        ([torch.zeros(5, 8)], [5]),
    ],
)
def test_wrong_lengths(features: torch.Tensor, lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="`lengths` must be"):
        problem()[0].segment(features, lengths)


@pytest.mark.parametrize("features", [[], torch.zeros(0, 5, 8), torch.zeros(2, 3, 4, 8), torch.tensor(1.0)])
def test_no_utterance(features: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="`features` must be"):
        problem()[0].segment(features)


def test_what_is_no_tensor_and_what_is_a_batch() -> None:
    with pytest.raises(TypeError, match="`features` must be"):
        problem()[0].segment(np.zeros((4, 8)))
    with pytest.raises(ValueError, match="Use `segment` for a batch"):
        problem()[0](torch.zeros(2, 5, 8))


def test_a_codebook_whose_squares_overflow() -> None:
    quantizer = DPDPQuantizer(noise(3, 2, scale=1e20), 1.0)
    with pytest.raises(ValueError, match="`codebook` must be small enough"):
        quantizer(noise(4, 2))


def test_the_message_names_the_utterance() -> None:
    quantizer, good = problem()
    bad = good.clone()
    bad[3, 2] = torch.nan
    with pytest.raises(ValueError, match="first in frame 3 of utterance 1"):
        quantizer.segment([good, bad])
