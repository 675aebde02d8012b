from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from wavlm_codebooks import kmeans


def inertia(x: torch.Tensor, codes: torch.Tensor) -> float:
    return float(torch.cdist(x.double(), codes.double()).min(1).values.square().sum())


def blobs(n: int, dim: int, centres: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    middle = 4 * torch.randn(centres, dim, generator=draw)
    return middle[torch.randint(centres, (n,), generator=draw)] + torch.randn(n, dim, generator=draw)


@pytest.mark.parametrize("k", [1, 8, 40])
def test_inertia_is_that_of_scikit_learn(k: int) -> None:
    x = blobs(3000, 6, 30)
    reference = KMeans(k, n_init=8, random_state=0, tol=1e-6).fit(x.numpy())
    found = kmeans.fit(x, k, trials=16, seed=0)
    assert inertia(x, found) <= 1.01 * reference.inertia_


@given(n=st.integers(1, 60), k=st.integers(1, 60), values=st.integers(1, 4), seed=st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_duplicates_and_empty_clusters(n: int, k: int, values: int, seed: int) -> None:
    x = torch.randint(values, (max(n, k), 2), generator=torch.Generator().manual_seed(seed)).float()
    codes = kmeans.fit(x, k, seed=seed)
    assert codes.shape == (k, 2)
    assert torch.isfinite(codes).all()
    if k >= len(torch.unique(x, dim=0)):
        assert inertia(x, codes) < 1e-8


def test_an_emptied_cluster_moves_to_the_farthest_vector() -> None:
    x = torch.tensor([[0.0], [1.0], [10.0]])
    means = kmeans._means(x, torch.tensor([0, 0, 0]), torch.tensor([0.0, 1.0, 100.0]), torch.tensor([[0.0], [50.0]]))
    assert means[1].item() == 10.0


def test_the_seed_decides() -> None:
    x = blobs(500, 3, 20)
    assert torch.equal(kmeans.fit(x, 12, seed=1), kmeans.fit(x, 12, seed=1))
    assert not torch.equal(kmeans.fit(x, 12, seed=1), kmeans.fit(x, 12, seed=2))


def test_a_far_shift_costs_no_precision() -> None:
    x = blobs(2000, 4, 10)
    shifted = kmeans.fit(x + 3000, 10) - 3000
    assert inertia(x, shifted) <= 1.01 * inertia(x, kmeans.fit(x, 10))


def test_assign_is_the_nearest_code_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, codes = blobs(1000, 5, 9), blobs(20, 5, 9, seed=1)
    expected = torch.cdist(x.double(), codes.double()).argmin(1)
    monkeypatch.setattr(kmeans, "_BLOCK", 37)
    assert torch.equal(kmeans.assign(x, codes), expected)


def test_a_tie_goes_to_the_lower_number() -> None:
    assert kmeans.assign(torch.zeros(3, 2), torch.zeros(4, 2)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("k", [0, 11, -1])
def test_k_outside_the_number_of_vectors(k: int) -> None:
    with pytest.raises(ValueError, match="`k` must be"):
        kmeans.fit(torch.randn(10, 2), k)


def test_vectors_that_are_not_finite_or_of_another_width() -> None:
    with pytest.raises(ValueError, match="finite"):
        kmeans.fit(torch.full((4, 2), np.nan), 2)
    with pytest.raises(ValueError, match="dim of the codebook"):
        kmeans.assign(torch.zeros(3, 2), torch.zeros(3, 4))
