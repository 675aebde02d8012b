from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from slmcore.clustering import codebook as codebooks
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import save
from slmcore.units import OperatingPoint
from tests.reference.wavlm import noise, published_checkpoint, small_model
from wavlm_codebooks import Codebook, WavLM, WavLMConfig
from wavlm_codebooks import wavlm as wavlms

SHORT = noise(4000)


def test_both_names_of_weight_norm_load_equal(tmp_path: Path) -> None:
    new = published_checkpoint()
    styles = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old: dict[str, Any] = {"cfg": new["cfg"], "model": {}}
    for key, value in new["model"].items():
        ending = key.removeprefix("encoder.pos_conv.0.")
        old["model"][key.replace(ending, styles.get(ending, ending))] = value
    assert old["model"].keys() != new["model"].keys()
    for name, content in (("new", new), ("old", old)):
        torch.save(content, tmp_path / f"{name}.pt")
    first, second = (wavlms.load(tmp_path / f"{name}.pt").state_dict() for name in ("new", "old"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_projects_own_format_keeps_everything(tmp_path: Path) -> None:
    model = small_model()
    model.operating_point = OperatingPoint(zoo="user", encoder="small")
    save(tmp_path / "model.safetensors", model.checkpoint({"recipe": "test"}))
    again = wavlms.load(tmp_path / "model.safetensors")
    assert again.config == model.config
    assert again.operating_point == model.operating_point
    assert torch.equal(again.features(SHORT, 16000), model.features(SHORT, 16000))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("extractor_mode", "default"),
        ("layer_norm_first", False),
        ("conv_bias", True),
        ("gru_rel_pos", False),
        ("relative_position_embedding", False),
        ("activation_fn", "relu"),
        ("conv_feature_layers", "__import__('os').getcwd()"),
        ("conv_feature_layers", "[(32,10,5)] * 999999999"),
        ("conv_feature_layers", "[(32,"),
        ("encoder_attention_heads", 7),
        ("encoder_layers", 3),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, name: str, value: object) -> None:
    checkpoint = published_checkpoint()
    checkpoint["cfg"][name] = value
    torch.save(checkpoint, tmp_path / "model.pt")
    with pytest.raises(CheckpointError):
        wavlms.load(tmp_path / "model.pt")


def test_what_matters_in_training_only_may_be_missing_or_unknown(tmp_path: Path) -> None:
    checkpoint = published_checkpoint()
    checkpoint["cfg"] = {k: v for k, v in checkpoint["cfg"].items() if "mask" not in k} | {"something_new": 1}
    torch.save(checkpoint, tmp_path / "model.pt")
    assert wavlms.load(tmp_path / "model.pt").config == small_model().config


def test_a_config_of_unequal_heads_is_refused() -> None:
    sizes = {"ffn_dim": 8, "layers": 1, "conv_pos": 4, "num_buckets": 8, "max_distance": 16}
    with pytest.raises(ValueError, match="`dim` must be"):
        WavLMConfig(conv_layers=((8, 10, 5),), dim=10, heads=4, conv_pos_groups=2, **sizes)


def test_a_new_model_trains_and_is_what_its_config_says() -> None:
    config = WavLMConfig(
        conv_layers=((6, 10, 5), (8, 4, 4)),
        dim=8,
        ffn_dim=12,
        heads=2,
        layers=2,
        conv_pos=5,
        conv_pos_groups=1,
        num_buckets=8,
        max_distance=16,
    )
    model = WavLM(config)
    assert (model.hop, config.field, model.frame_rate) == (20, 25, 800.0)
    assert model.features(SHORT, 16000).shape == (model.num_frames(4000), 8)


def test_codebook_round_trip_published_and_own(tmp_path: Path) -> None:
    codes = torch.randn(7, 3)
    torch.save({"codebook": codes}, tmp_path / "published.pt")
    published = codebooks.load(tmp_path / "published.pt")
    assert torch.equal(published.codes, codes)
    assert published.operating_point is None
    point = OperatingPoint(zoo="demo", encoder="wavlm_demo", layer=3, k=7)
    save(tmp_path / "own.safetensors", Codebook(codes, point).checkpoint())
    own = codebooks.load(tmp_path / "own.safetensors")
    assert (own.operating_point, own.k, own.dim) == (point, 7, 3)
    assert own.assign(codes).tolist() == list(range(7))


@pytest.mark.parametrize("content", [{}, {"codebook": torch.zeros(3)}, {"codebook": [1.0]}, [1]])
def test_a_file_that_is_no_codebook(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "codebook.pt")
    with pytest.raises(CheckpointError):
        codebooks.load(tmp_path / "codebook.pt")
