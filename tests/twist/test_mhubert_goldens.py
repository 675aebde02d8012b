from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dpdp import DPDPQuantizer
from slmcore import audio
from slmcore.encoders.waveforms import Chunks
from slmcore.errors import CheckpointError
from slmcore.roles import Encoder
from tests.reference import goldens, twist
from twist import MHuBERT
from twist.mhubert import load

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("mhubert25_small")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MHuBERT]:
    root = tmp_path_factory.mktemp("mhubert")
    return {
        "fairseq": load(twist.mhubert_file(root / "mhubert.pt", ABOUT)),
        "transformers": MHuBERT.from_pretrained(twist.mhubert_folder(root / "folder", ABOUT)),
    }


def inputs(case: str) -> tuple[torch.Tensor, int]:
    wav, sr = {
        "speech": goldens.speech,
        "noise16k": lambda: (goldens.noise(16007, 7), 16000),
        "noise22k": lambda: (goldens.noise(30007, 8), 22050),
        "min": lambda: (goldens.noise(720, 9), 16000),
        "stereo": lambda: (audio.mono(torch.cat([goldens.noise(16007, 7), goldens.noise(16007, 12)])), 16000),
        "long": lambda: (goldens.noise(1620000, 11), 16000),
    }[case.removesuffix("_pad40").removesuffix("_chunk16000")]()
    return (torch.nn.functional.pad(wav, (40, 40)) if case.endswith("_pad40") else wav), sr


def near(found: torch.Tensor, golden: np.ndarray, tolerance: float = 1e-4) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= tolerance * golden.std())


CASES = [key for key in ARRAYS if "/layer" in key and not key.startswith(("long", "speech_chunk"))]


@pytest.mark.parametrize("source", ["fairseq", "transformers"])
@pytest.mark.parametrize("key", CASES)
def test_features(models, source, key):
    case, layer = key.split("/layer")
    wav, sr = inputs(case)
    model = models[source]
    found = model.features(wav, sr, int(layer))
    assert near(found, ARRAYS[key])
    if layer == "11":
        assert torch.equal(found, model.features(wav, sr))


def test_the_role(models):
    model = models["fairseq"]
    assert isinstance(model, Encoder)
    assert (model.frame_rate, model.hop, model.dim, model.num_layers, model.sample_rate) == (25.0, 640, 48, 12, 16000)


def test_a_batch_gives_each_what_it_gets_alone(models):
    wavs = [inputs(case)[0] for case in ("noise16k", "min", "speech")]
    for found, case in zip(models["fairseq"].features_batch(wavs, 16000), ("noise16k", "min", "speech"), strict=True):
        assert near(found, ARRAYS[f"{case}/layer11"])


def test_chunks_as_published(models, monkeypatch):
    monkeypatch.setattr(models["fairseq"], "windows", Chunks(whole=1.0), raising=False)
    assert near(models["fairseq"].features(*inputs("speech")), ARRAYS["speech_chunk16000/layer11"])


@pytest.mark.slow
def test_the_chunks_of_100_seconds(models, monkeypatch):
    monkeypatch.setattr(models["fairseq"], "windows", Chunks(), raising=False)
    first, last = ABOUT["long"]["rows_kept"]
    found = models["fairseq"].features(*inputs("long"))
    assert len(found) == ABOUT["long"]["frames"]
    assert near(found[first:last], ARRAYS["long/layer11"])


@pytest.mark.parametrize("case", ["speech", "noise16k"])
def test_units(models, case):
    codes = torch.from_numpy(ARRAYS["centroids"])
    quantizer = DPDPQuantizer(codes, 0.0, frame_rate=25.0).eval()
    units = quantizer.segment(models["fairseq"].features(*inputs(case)))
    assert units.framewise().tolist() == ARRAYS[f"{case}/units"].tolist()
    assert units.units.tolist() == ARRAYS[f"{case}/units_dedup"].tolist()
    assert units.durations.tolist() == ARRAYS[f"{case}/durations"].tolist()


def test_what_is_shorter_than_a_frame_is_refused(models):
    with pytest.raises(ValueError, match="45 ms"):
        models["fairseq"].features(goldens.noise(719, 9), 16000)


def test_a_saved_model_loads_equal(models, tmp_path):
    models["transformers"].save_pretrained(tmp_path / "saved")
    again = MHuBERT.from_pretrained(tmp_path / "saved")
    wav, sr = inputs("noise16k")
    assert torch.equal(again.features(wav, sr), models["transformers"].features(wav, sr))


def test_the_container_of_spiritlm(models, tmp_path):
    content = {"model_cfg": ABOUT["cfg"]["model"], "task_cfg": ABOUT["cfg"]["task"]}
    torch.save({**content, "model_weight": twist.mhubert_state(ABOUT)}, tmp_path / "mhubert_base_25hz.pt")
    found = load(tmp_path / "mhubert_base_25hz.pt").features(*inputs("noise16k"))
    assert torch.equal(found, models["fairseq"].features(*inputs("noise16k")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "wavlm"}, "model_type"),
        ({"hidden_act": "relu"}, "activation_fn"),
        ({"conv_stride": [5, 2]}, "conv_stride"),
        ({"num_hidden_layers": 11}, "unexpected blocks.11"),
        ({"conv_pos_batch_norm": False}, "position_conv"),
    ],
)
def test_folders_of_other_models_are_refused(changes, words, tmp_path):
    folder = twist.mhubert_folder(tmp_path / "folder", ABOUT)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=words):
        load(folder)


@pytest.mark.parametrize("key", ["hidden_size", "conv_dim", "conv_stride", "num_conv_pos_embeddings"])
def test_a_config_without_a_needed_key_is_refused_by_name(key, tmp_path):
    folder = twist.mhubert_folder(tmp_path / "folder", ABOUT)
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"lacks `{key}`"):
        load(folder)


@pytest.mark.slow
@pytest.mark.parametrize("make", [twist.mhubert_file, twist.mhubert_folder])
def test_published_size(make, tmp_path: Path):
    about, arrays = goldens.load("mhubert25_full")
    model = load(make(tmp_path / "mhubert.pt", about))
    for key, golden in arrays.items():
        case, layer = key.split("/layer")
        assert near(model.features(*inputs(case), int(layer))[::4], golden, 1e-3), key
