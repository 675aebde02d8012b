from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from slmzoo.training.data.unit_files import UnitSource, operating_point
from tests.reference.units_on_disk import POINT, K, write_files, write_shards


def test_files_and_shards_hold_the_same(tmp_path):
    files, shards = UnitSource(write_files(tmp_path / "files")), UnitSource(write_shards(tmp_path / "shards"))
    one, other = list(files.read(K)), list(shards.read(K))
    assert [s.name for s in one] == [s.name for s in other]
    assert (
        [s.chapter for s in one] == [s.chapter for s in other] == [f"speaker/c{c}" for c in range(3) for _ in range(4)]
    )
    assert all(torch.equal(a.framewise, b.framewise) for a, b in zip(one, other, strict=True))
    assert (files.frame_rate(None), shards.frame_rate(None), files.frame_rate(40.0)) == (50.0, 25.0, 40.0)
    with pytest.raises(ValueError, match=r"that of the shards, 25\.0"):
        shards.frame_rate(50.0)


def test_one_row_or_column_is_as_good_as_a_vector(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, 1, 2]], dtype=np.uint8))
    found = next(UnitSource(tmp_path).read(K))
    assert (found.name, found.chapter, found.units.tolist()) == ("a", ".", [1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([], dtype=np.int64), "bad.npy is empty"),
        (np.array([1, K]), rf"bad.npy: `units` must be in 0..{K - 1}, but is \[1, {K}\]"),
        (np.array([-1, 2]), "must be in 0"),
        (np.array([1.0, 2.0]), "must hold whole numbers"),
        (np.ones((2, 3), dtype=np.int64), "must hold whole numbers"),
        (np.array(["u1"]), "must hold whole numbers"),
        (np.array([object()]), "damaged or no .npy file of numbers"),
    ],
)
def test_units_that_are_no_use_are_named(tmp_path, content, message):
    write_files(tmp_path)
    np.save(tmp_path / "speaker" / "bad.npy", content, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        list(UnitSource(tmp_path).read(K))


def test_units_and_tokens_in_the_published_layouts_of_ellav(tmp_path):
    (tmp_path / "a.txt").write_text("u3 u3 u0\nu1\n")
    torch.save(torch.tensor([[3, 2]]), tmp_path / "b.pt")
    assert [spoken.framewise.tolist() for spoken in UnitSource(tmp_path).read(K)] == [[3, 3, 0, 1], [3, 2]]
    (tmp_path / "a.txt").write_text("u3 x4")
    torch.save({"codes": torch.tensor([3])}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"a\.txt is damaged .*of numbers: .*b\.pt must hold whole"):
        list(UnitSource(tmp_path).read(K))


def test_code_in_a_file_of_tokens_is_not_run(tmp_path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps(UnitSource))
    with pytest.raises(ValueError, match=r"a\.pt is damaged"):
        list(UnitSource(tmp_path).read(K))


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    write_files(tmp_path)
    for number in range(7):
        (tmp_path / f"cut{number}.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"cut0.*cut4.*\(and 2 more\)"):
        list(UnitSource(tmp_path).read(K))


def test_a_source_without_units_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No units at"):
        list(UnitSource(tmp_path / "nowhere").read(K))
    with pytest.raises(ValueError, match="holds no units"):
        list(UnitSource(tmp_path).read(K))


def test_units_of_shards_must_be_below_k(tmp_path):
    with pytest.raises(ValueError, match=r"speaker/c0/u0: `units` must be in 0\.\.4"):
        list(UnitSource(write_shards(tmp_path / "shards")).read(5))


def test_a_point_joins_what_is_asked_and_told():
    stored = POINT.to_json()
    assert operating_point("lab", stored) == operating_point("lab", stored, k=K, lmbda=4)
    found = operating_point("lab", "null", k=5, lmbda=0.0)
    assert (found.zoo, found.k, found.lmbda, found.encoder) == ("lab", 5, 0.0, None)
    with pytest.raises(ValueError, match="lmbda: 3 != 4"):
        operating_point("lab", stored, lmbda=3)
    for missing in ({"k": 5}, {"lmbda": 1.0}):
        with pytest.raises(ValueError, match="must be given"):
            operating_point("lab", None, **missing)
