from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.layers.sampling import Sampler, normal, uniform

MASK = (1 << 64) - 1


def splitmix(x: int) -> int:
    """Steele et al. 2014, in Python's whole numbers."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40), st.integers(0, 2**20))
@settings(max_examples=50, deadline=None)
def test_uniform_equals_splitmix(seed, sequence, step):
    expected = splitmix((splitmix((splitmix(seed & MASK) + sequence) & MASK) + step) & MASK) >> 40
    got = uniform(seed, torch.tensor([sequence]), torch.tensor([step]))
    assert got.item() == np.float32(expected / 2**24)


def test_uniform_is_uniform_and_uncorrelated():
    sequences, steps = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    u = uniform(3, sequences, steps).double()
    assert abs(u.mean() - 0.5) < 0.005
    counts = torch.histc(u, 100, 0, 1)
    assert ((counts - 900) ** 2 / 900).sum() < 160  # chi square of 99 degrees of freedom
    for a, b in ((u[:, 1:], u[:, :-1]), (u[1:], u[:-1])):
        assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.02


def test_normal_is_normal_and_uncorrelated():
    sequences, steps = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    x = normal(3, sequences, steps).double()
    assert torch.isfinite(x).all()
    edges = torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(0, 1, 101, dtype=torch.float64))
    counts = torch.bincount(torch.bucketize(x.flatten(), edges[1:-1]), minlength=100)
    assert ((counts - 900) ** 2 / 900).sum() < 160  # chi square of 99 degrees of freedom
    for a, b in ((x[:, 1:], x[:, :-1]), (x[1:], x[:-1]), (x, normal(4, sequences, steps).double())):
        assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.02
    assert torch.equal(normal(3, sequences[7:8], steps[7:8]).double(), x[7:8])


def draw(sampler: Sampler, logits: torch.Tensor, n: int = 20000) -> torch.Tensor:
    rows = torch.arange(n)
    return torch.bincount(sampler(logits.expand(n, -1), rows, torch.zeros_like(rows)), minlength=len(logits)) / n


def test_samples_follow_the_softmax():
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0, -torch.inf])
    for temperature in (0.5, 1.0, 2.0):
        got = draw(Sampler(temperature=temperature, seed=1), logits)
        assert (got - (logits / temperature).softmax(0)).abs().max() < 0.015


def test_top_k_and_top_p_keep_what_they_say():
    p = torch.tensor([0.1, 0.4, 0.3, 0.2])
    assert draw(Sampler(top_k=2), p.log())[[0, 3]].sum() == 0
    assert draw(Sampler(top_p=0.6), p.log())[[0, 3]].sum() == 0  # 0.4 + 0.3 reach 0.6
    kept = draw(Sampler(top_p=0.6), p.log())
    assert (kept[[1, 2]] - torch.tensor([4 / 7, 3 / 7])).abs().max() < 0.015
    assert (draw(Sampler(top_p=1.0), p.log()) > 0).all()


@pytest.mark.parametrize(
    "settings_", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_k": 1}, {"temperature": 0.0, "top_p": 0.3}]
)
def test_greedy(settings_):
    logits = torch.randn(50, 9)
    got = Sampler(seed=4, **settings_)(logits, torch.arange(50), torch.zeros(50, dtype=torch.int64))
    assert torch.equal(got, logits.argmax(-1))


@given(st.integers(1, 40), st.floats(0.05, 3), st.floats(0, 1), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_a_token_of_no_probability_is_never_drawn(vocab, temperature, top_p, seed):
    logits = torch.randn(64, vocab, generator=torch.Generator().manual_seed(seed)) * 30
    logits[:, 1::2] = -torch.inf
    got = Sampler(temperature=temperature, top_p=top_p, seed=seed)(logits, torch.arange(64), torch.arange(64))
    assert (got % 2 == 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -0.1), ("temperature", float("nan")), ("top_p", 1.2), ("top_p", -1), ("top_k", 0), ("seed", 1.5)],
)
def test_refuses(name, value):
    with pytest.raises(ValueError, match=name):
        Sampler(**{name: value})


def test_a_token_that_begins_at_top_p_is_kept():
    """The published rule drops what begins *above* top_p: of 1/2, 1/4, 1/4 at top_p = 1/2 two are kept."""
    p = torch.tensor([0.25, 0.5, 0.25])
    kept = draw(Sampler(top_p=0.5), p.log())
    assert (kept - torch.tensor([1 / 3, 2 / 3, 0])).abs().max() < 0.015


@pytest.mark.parametrize("temperature", [1e-45, 5e-324, 1e-38, 1.2e-38, 1e-30, 1e-21, 1e-19])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_coldest_temperatures_take_the_best_token(temperature, dtype):
    logits = (torch.randn(50, 9, generator=torch.Generator().manual_seed(1)) * 40).to(dtype)
    logits[:, 3] = -torch.inf
    logits[:, 4] = 170
    got = Sampler(temperature=temperature)(logits, torch.arange(50), torch.zeros(50, dtype=torch.int64))
    assert torch.equal(got, logits.argmax(-1))


def test_whole_numbers_of_other_libraries_are_taken():
    made = Sampler(seed=np.int64(3), top_k=np.int32(2))
    assert made == Sampler(seed=3, top_k=2)
    assert Sampler(seed=1 - 2**63).seed == 1 - 2**63
    for seed in (2**63, -(2**63), True, np.uint64(2**63)):
        with pytest.raises(ValueError, match="seed"):
            Sampler(seed=seed)
