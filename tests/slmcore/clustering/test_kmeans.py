from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from slmcore.clustering import kmeans, lloyd
from slmcore.clustering.blocks import Blocks, summary


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
    sample = torch.tensor([[0.0], [1.0], [10.0]])
    moved = lloyd.revived(torch.tensor([[0.5], [50.0]]), torch.tensor([False, True]), sample)
    assert moved.tolist() == [[0.5], [10.0]]
    one = lloyd.Pass(torch.tensor([[0.0], [50.0]]))
    one.add(sample[:2])
    one.add(sample[2:])
    assert one.inertia == pytest.approx(101)
    assert one.means(sample).tolist() == [[pytest.approx(11 / 3)], [10.0]]


def test_the_seed_decides() -> None:
    x = blobs(500, 3, 20)
    assert torch.equal(kmeans.fit(x, 12, seed=1), kmeans.fit(x, 12, seed=1))
    assert not torch.equal(kmeans.fit(x, 12, seed=1), kmeans.fit(x, 12, seed=2))


def test_a_far_shift_costs_no_precision() -> None:
    x = blobs(2000, 4, 10)
    shifted = kmeans.fit(x + 3000, 10) - 3000
    assert inertia(x, shifted) <= 1.01 * inertia(x, kmeans.fit(x, 10))


def test_assign_is_the_nearest_code_across_blocks() -> None:
    x, codes = blobs(1000, 5, 9), blobs(20, 5, 9, seed=1)
    expected = torch.cdist(x.double(), codes.double()).argmin(1)
    assert torch.equal(kmeans.assign(x, codes), expected)
    assert torch.equal(kmeans.assign(x, codes, rows=37), expected)


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


FEW = 300
"""So few vectors are drawn first that the passes over all have work to do."""


def on_disk(x: torch.Tensor, folder: Path) -> list[np.ndarray]:
    """Blocks of unequal length, memory-mapped."""
    for i, block in enumerate(x.split([700, 1, 2100, len(x) - 2801])):
        np.save(folder / f"{i}.npy", block.numpy())
    return [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(4)]


def test_several_k_from_disk_in_one_pass_are_as_good_as_scikit_learns(tmp_path: Path) -> None:
    x = blobs(6000, 6, 40)
    reads = 0

    class Counted(list[np.ndarray]):
        def __iter__(self) -> Iterator[np.ndarray]:
            nonlocal reads
            reads += 1
            return super().__iter__()

    found = kmeans.fit_many(Counted(on_disk(x, tmp_path)), [5, 30], trials=12, seed=0, sample=FEW)
    assert {k: codes.shape for k, codes in found.items()} == {5: (5, 6), 30: (30, 6)}
    for k, codes in found.items():
        reference = KMeans(k, n_init=6, random_state=0, tol=1e-6).fit(x.numpy())
        assert inertia(x, codes) <= 1.01 * reference.inertia_
    alone = kmeans.fit_many(on_disk(x, tmp_path), [5], trials=12, seed=0, sample=FEW)
    assert torch.equal(alone[5], found[5])
    assert reads < 60


def test_the_last_codes_are_a_fixed_point_of_scikit_learns_lloyd() -> None:
    x = blobs(4000, 4, 12)
    codes = kmeans.fit(x, 12, tolerance=0, sample=FEW)
    polished = KMeans(12, init=codes.numpy(), n_init=1, tol=0).fit(x.numpy())
    assert polished.inertia_ == pytest.approx(inertia(x, codes), rel=1e-5)


def test_a_stopped_run_goes_on_to_the_same_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, state = blobs(4000, 6, 40), tmp_path / "state.pt"
    unbroken = kmeans.fit_many(x, [4, 30], sample=FEW)
    kept, write = [], kmeans.write_bytes

    def stop(path: Path, content: bytes) -> None:
        write(path, content)
        kept.append(1)
        if len(kept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(kmeans, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        kmeans.fit_many(x, [4, 30], state=state, sample=FEW)
    monkeypatch.setattr(kmeans, "plus_plus", None)  # what was done is not done again
    resumed = kmeans.fit_many(x, [4, 30], state=state, sample=FEW)
    assert all(torch.equal(resumed[k], unbroken[k]) for k in unbroken)
    with pytest.raises(ValueError, match=r"`state` must be of .* Remove"):
        kmeans.fit_many(x + 1, [4, 30], state=state, sample=FEW)
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match="not the state of a k-means"):
        kmeans.fit_many(x, [4, 30], state=state, sample=FEW)


def test_a_sample_is_uniform_and_without_repeats() -> None:
    x = torch.arange(500.0)[:, None]
    hits = torch.zeros(500)
    for seed in range(400):
        seen = summary(Blocks([x[:3], x[3:200], x[200:]]), 50, torch.Generator().manual_seed(seed))
        assert len(set(seen.sample[:, 0].tolist())) == 50
        hits[seen.sample[:, 0].long()] += 1
    # 40 +- 6 each.
    assert 40 - 30 < float(hits.min()) < float(hits.max()) < 40 + 30
    assert abs(float(hits[:250].sum() - hits[250:].sum())) < 1200
    assert (seen.count, seen.mean.item()) == (500, 249.5)


def test_blocks_that_do_not_fit_are_refused() -> None:
    good = torch.randn(10, 2)
    for wrong, match in (
        ([good, torch.randn(3, 5)], "one width"),
        ([good, torch.ones(3, 2, dtype=torch.int64)], "floating-point"),
        ([torch.randn(4)], "floating-point"),
        ([], "one or more"),
        ([good, np.full((1, 2), np.inf, np.float32)], "finite"),
    ):
        with pytest.raises(ValueError, match=match):
            kmeans.fit(wrong, 2)
    with pytest.raises(TypeError, match="more than once"):
        kmeans.fit(iter([good]), 2)
    for ks in ([], [2, 2], [0, 2]):
        with pytest.raises(ValueError, match="`k` must be"):
            kmeans.fit_many(good, ks)


@pytest.mark.gpu
def test_a_gpu_finds_as_good_codes() -> None:
    x = blobs(200_000, 32, 400)
    here, there = kmeans.fit(x, 100), kmeans.fit_many([x.numpy()], [100], device="cuda")[100]
    assert there.is_cuda
    assert inertia(x, there.cpu()) <= 1.02 * inertia(x, here)
