from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.cluster
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmcore.clustering import codebook
from slmcore.errors import CheckpointError
from slmzoo.convert import convert
from tests.reference import goldens

GOLDEN = goldens.load_npz("gslm_kmeans")
FILES = ["plain", "zlib", "old"]


def golden_file(name: str) -> Path:
    return goldens.path(f"gslm_kmeans_{name}.bin")


@pytest.mark.golden
@pytest.mark.parametrize("name", FILES)
def test_published_files_give_their_centres_and_units(name: str) -> None:
    found = codebook.load(golden_file(name))
    assert np.array_equal(found.codes.numpy(), GOLDEN["centers"])
    assert found.codes.dtype == torch.float32
    units = found.assign(torch.from_numpy(GOLDEN["features"]))
    assert np.array_equal(units.numpy(), GOLDEN["units"])
    kept, durations = torch.unique_consecutive(units, return_counts=True)
    assert np.array_equal(kept.numpy(), GOLDEN["deduplicated"])
    assert np.array_equal(durations.numpy(), GOLDEN["durations"])


@pytest.mark.parametrize("name", FILES)
def test_conversion_keeps_the_centres(name: str, tmp_path: Path) -> None:
    assert convert(golden_file(name), tmp_path / "codes.safetensors") == "codebook"
    assert np.array_equal(codebook.load(tmp_path / "codes.safetensors").codes.numpy(), GOLDEN["centers"])


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_all_compressions_of_joblib_but_one(compress: Any, tmp_path: Path) -> None:
    (tmp_path / "km.bin").write_bytes(compress(golden_file("plain").read_bytes()))
    assert np.array_equal(codebook.load(tmp_path / "km.bin").codes.numpy(), GOLDEN["centers"])


def test_lz4_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "km.bin").write_bytes(b"\x04\x22\x4d\x18" + bytes(100))
    with pytest.raises(CheckpointError, match=r"km\.bin is compressed by lz4.*joblib\.dump"):
        codebook.load(tmp_path / "km.bin")


@given(
    k=st.integers(1, 7),
    dim=st.integers(1, 5),
    dtype=st.sampled_from(["float32", "float64", "float16", ">f4", "int32"]),
    order=st.sampled_from("CF"),
    before=st.integers(0, 40),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays_of_any_shape_order_and_type(
    k: int, dim: int, dtype: str, order: Any, before: int, tmp_path: Path
) -> None:
    centres = np.asarray(np.random.RandomState(k).standard_normal((k, dim)) * 9, dtype=dtype, order=order)
    model = sklearn.cluster.KMeans(n_clusters=k)
    model.__dict__ |= {"labels_": np.arange(before), "cluster_centers_": centres, "n_iter_": np.int64(3)}
    joblib.dump(model, tmp_path / "km.bin")
    found = codebook.load(tmp_path / "km.bin").codes
    assert np.array_equal(found.numpy(), centres.astype(np.float32))


class Runs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3)])
def test_a_planted_payload_is_refused_unrun(compress: Any, tmp_path: Path) -> None:
    trap = tmp_path / "owned"
    joblib.dump({"cluster_centers_": np.zeros((2, 3), np.float32), "x": Runs(trap)}, tmp_path / "km.bin", compress)
    with pytest.raises(CheckpointError, match=r"refused without running it: it holds (posix|nt)\.mkdir"):
        codebook.load(tmp_path / "km.bin")
    assert not trap.exists()


def test_a_payload_within_an_array_of_objects_is_refused_unrun(tmp_path: Path) -> None:
    trap = tmp_path / "owned"
    objects = np.array([Runs(trap)], dtype=object)
    joblib.dump({"cluster_centers_": objects}, tmp_path / "km.bin")
    with pytest.raises(CheckpointError, match="a type of numbers"):
        codebook.load(tmp_path / "km.bin")
    assert not trap.exists()


@pytest.mark.parametrize("content", [{}, {"cluster_centers_": 3}, [1], None])
def test_a_pickle_without_centres(content: object, tmp_path: Path) -> None:
    (tmp_path / "km.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"km\.bin holds no k-means"):
        codebook.load(tmp_path / "km.bin")


@given(name=st.sampled_from(FILES), share=st.floats(0.01, 0.999))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_that_end_early_are_refused(name: str, share: float, tmp_path: Path) -> None:
    whole = golden_file(name).read_bytes()
    (tmp_path / "km.bin").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"km\.bin"):
        codebook.load(tmp_path / "km.bin")
