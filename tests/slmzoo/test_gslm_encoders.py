"""GSLM's encoders and codebooks as the zoo has them: rows, entry points, conversion, and a pipeline of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn.cluster
import torch

import hubconf
from gslm import cpc, hubert, wav2vec2
from slmcore.errors import CheckpointError
from slmcore.files import registry
from slmzoo import hub, systems
from slmzoo.convert import convert
from slmzoo.sources import Choice, Source
from tests.reference import goldens
from tests.reference.gslm_encoders import cpc_content, hubert_content, save_hubert, w2v2_content

DIMS = {"hubert": 64, "cpc": 32, "w2v2": 32, "logmel": 80}
K = 20


def write_kmeans(path: Path, dim: int) -> np.ndarray:
    """A km.bin as scikit-learn's class pickles by joblib."""
    centres = np.random.RandomState(dim).standard_normal((K, dim)).astype(np.float32)
    model = sklearn.cluster.MiniBatchKMeans(n_clusters=K)
    model.cluster_centers_ = centres
    joblib.dump(model, path)
    return centres


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gslm")
    save_hubert(made / "hubert.pt", hubert_content("gslm_hubert_small"))
    torch.save(w2v2_content("gslm_w2v2_small"), made / "wav2vec2.pt")
    torch.save(cpc_content("gslm_cpc_small"), made / "cpc.pt")
    for features, dim in DIMS.items():
        write_kmeans(made / f"{features}.bin", dim)
    return made


@pytest.fixture(scope="module")
def zoo(folder: Path) -> Path:
    layers = {"hubert": 6, "w2v2": 15, "cpc": 2}
    rates = {"hubert": 50.0, "w2v2": 50.0, "cpc": 100.0, "logmel": 100.0}
    files = {"hubert": "hubert.pt", "w2v2": "wav2vec2.pt", "cpc": "cpc.pt", "logmel": "log_mel.safetensors"}
    hubconf.log_mel()[0].save_pretrained(folder / "made")
    (folder / "made" / "model.safetensors").replace(folder / "log_mel.safetensors")
    rows = []
    for features, kind in {"hubert": "hubert", "w2v2": "wav2vec2", "cpc": "cpc", "logmel": "log_mel"}.items():
        about = {"variant": features, "encoder": kind, "frame_rate": rates[features]}
        rows.append({"kind": kind, "file": files[features], **about})
        layer = {"layer": layers[features]} if features in layers else {}
        rows.append({"kind": "gslm_codebook", "file": f"{features}.bin", "k": K, **layer, **about})
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "small-gslm", "system": "gslm"}
    (folder / "zoo.json").write_text(json.dumps({**about, "rows": rows}))
    return folder / "zoo.json"


def test_every_published_file_has_a_row() -> None:
    kinds = Counter(row.kind for row in registry.rows("gslm"))
    assert {kind: kinds[kind] for kind in ("hubert", "wav2vec2", "cpc", "log_mel", "gslm_codebook")} == {
        "hubert": 1, "wav2vec2": 1, "cpc": 1, "log_mel": 1, "gslm_codebook": 15,
    }  # fmt: skip
    assert registry.find("hubert", zoo="gslm").sha256.startswith("1703cf8d")
    assert registry.find("wav2vec2", zoo="gslm").sha256 == ""
    find = {"zoo": "gslm", "variant": "hubert", "k": 500}
    assert registry.find("gslm_codebook", layer=9, **find).url.endswith("/hubert/hubert_base_ls960_L9_km500.bin")
    assert registry.find("gslm_codebook", layer=6, **find).url.endswith("/gslm/hubert/km500/km.bin")
    assert registry.find("gslm_codebook", zoo="gslm", variant="cpc", k=200).sha256.startswith("2d863d1c")


@pytest.mark.parametrize(("layer", "end"), [(None, "/km500/km.bin"), (6, "/km500/km.bin"), (9, "_L9_km500.bin")])
def test_the_usual_layer_is_meant_where_none_is_named(layer: int | None, end: str) -> None:
    where = Source(zoo="gslm")
    wanted = systems.of(where).choice(where, Choice(variant="hubert", k=500, layer=layer), False)
    rows = systems.rows_of(where, wanted, "encoder", "codebook")
    assert rows["gslm_codebook"].url.endswith(end)
    assert set(rows) == {"hubert", "gslm_codebook"}


@pytest.mark.parametrize(
    ("entry", "name", "dim"),
    [("hubert_base", "hubert", 64), ("wav2vec2_large", "wav2vec2", 32), ("cpc_big", "cpc", 32)],
)
def test_entry_points_load_published_files_and_give_gslms_layer(entry: str, name: str, dim: int, folder: Path) -> None:
    model, extract_features = getattr(hubconf, entry)(checkpoint=folder / f"{name}.pt")
    wav = goldens.noise(8000, 3)
    found = extract_features(model, wav, 16000)
    assert (found.shape[1], found.dtype) == (dim, torch.float32)
    usual = {"hubert": 6, "wav2vec2": 15, "cpc": 2}[name]
    assert torch.equal(found, extract_features(model, wav, 16000, usual))
    assert not torch.equal(found, extract_features(model, wav, 16000, 1))
    with pytest.raises(ValueError, match="at least"):
        extract_features(model, wav[:, :100], 16000)


def test_log_mel_needs_no_file_and_keeps_the_rate_unless_told() -> None:
    model, extract_features = hubconf.log_mel()
    wav = goldens.noise(30007, 8)
    golden = goldens.load_npz("gslm_logmel")["noise22k"]
    np.testing.assert_allclose(extract_features(model, wav, 22050).numpy()[::8], golden, atol=1e-3)
    model.resample = True
    assert extract_features(model, wav, 22050).shape == (134, 80)
    assert model.operating_point.encoder == "log_mel"


def test_codebooks_of_files_and_of_the_zoo(folder: Path, zoo: Path) -> None:
    centres = write_kmeans(folder / "again.bin", DIMS["cpc"])
    assert np.array_equal(hubconf.gslm_codebook(checkpoint=folder / "again.bin").numpy(), centres)
    found = hubconf.gslm_codebook("cpc", K, zoo="small-gslm", registry=zoo)
    assert np.array_equal(found.numpy(), centres)
    with pytest.raises(ValueError, match="`k` must be"):
        hubconf.gslm_codebook(k=100, checkpoint=folder / "again.bin")
    with pytest.raises(ValueError, match=r"gslm_codebook.*layer=9"):
        hubconf.gslm_codebook("cpc", K, 9, zoo="small-gslm", registry=zoo)


@pytest.mark.parametrize("name", ["hubert", "wav2vec2", "cpc"])
@pytest.mark.parametrize("named", [False, True])
def test_conversion_recognises_the_containers_and_loads_equal(
    name: str, named: bool, folder: Path, tmp_path: Path
) -> None:
    load = {"hubert": hubert.load, "wav2vec2": wav2vec2.load, "cpc": cpc.load}[name]
    source, target = folder / f"{name}.pt", tmp_path / "m.safetensors"
    assert convert(source, target, name if named else None) == name
    one, other = load(source).checkpoint(), load(target).checkpoint()
    assert one.config == other.config
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(tensor, other.state[key]) for key, tensor in one.state.items())


def test_an_encoder_of_another_kind_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cpc\.pt is not a published checkpoint of kind 'hubert'"):
        hubconf.hubert_base(checkpoint=folder / "cpc.pt")


@pytest.mark.parametrize("features", DIMS)
@pytest.mark.parametrize("lmbda", [None, 3.0])
def test_units_of_each_encoder(features: str, lmbda: float | None, zoo: Path) -> None:
    source = {"zoo": "small-gslm", "registry": zoo}
    pipeline = hub.pipeline(K, lmbda, variant=features, with_ulm=False, with_speech=False, **source)
    wav, sr = goldens.speech()
    units = pipeline.units(wav[:, :20000], sr)
    frames = pipeline.encoder.features(wav[:, :20000], sr)
    assert int(units.durations.sum()) == len(frames)
    assert units.frame_rate == {"hubert": 50.0, "w2v2": 50.0, "cpc": 100.0, "logmel": 100.0}[features]
    if lmbda is None:
        nearest = torch.cdist(frames.double(), pipeline.quantizer.codebook.double()).argmin(1)
        assert torch.equal(units.framewise(), nearest)
        assert units.operating_point.lmbda == 0.0
