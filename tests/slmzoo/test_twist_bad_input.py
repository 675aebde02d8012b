"""What bad input gets in the zoo of TWIST, through the entry points: a clear error for each."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

import hubconf
from slmcore.errors import CheckpointError
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from tests.reference import tiny_twist
from tests.reference.tiny_twist import K
from twist import UnitVocoder, VocoderConfig


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_twist.write(tmp_path_factory.mktemp("twist"))


@pytest.fixture(scope="module")
def twist(registry: Path) -> Pipeline:
    return hub.pipeline(zoo="tiny-twist", registry=registry)


@pytest.mark.parametrize("units", [[K], [0, 3, K + 7], [-1]])
def test_units_outside_the_codebook(twist: Pipeline, units: list[int]):
    wanted = f"`units` must be from 0 to {K - 1}"
    with pytest.raises(ValueError, match=wanted):
        twist.loglikelihoods([[1, 2], [1, *units]])
    with pytest.raises(ValueError, match=wanted):
        twist.ulm.generate([[1], [1, *units]], 3)
    with pytest.raises(ValueError, match=wanted):
        twist.synthesizer.speak([[1], units])


def test_a_vocoder_of_other_units_or_another_rate(twist: Pipeline):
    sizes = {"dim": 4, "channels": 64, "block_kernels": (3,), "block_dilations": ((1,),)}
    half = {"rates": (5, 4, 4, 2, 2), "kernels": (11, 8, 8, 4, 4)}
    whole = {"rates": (5, 4, 4, 2, 2, 2), "kernels": (11, 8, 8, 4, 4, 4)}
    for config, words in (
        ({"num_units": K + 1, **whole}, f"number of units is {K} for the codebook, but {K + 1} for UnitVocoder"),
        ({"num_units": K, **half}, "frames per second is 25.0 for the encoder, but 50.0 for UnitVocoder"),
    ):
        other = UnitVocoder(VocoderConfig(**sizes, **config))
        with pytest.raises(ValueError, match=words):
            Pipeline(twist.encoder, twist.quantizer, twist.ulm, synthesizer=other)
    Pipeline(twist.encoder, twist.quantizer, synthesizer=UnitVocoder(VocoderConfig(**sizes, num_units=K, **whole)))


@pytest.mark.parametrize("key", ["upsample_rates", "num_embeddings", "resblock_dilation_sizes"])
def test_a_vocoders_config_without_a_needed_key(registry: Path, tmp_path: Path, key: str):
    config = json.loads((registry.parent / "lj.json").read_text())
    del config[key]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"config.json lacks `{key}`"):
        hubconf.unit_hifigan(checkpoint=registry.parent / "lj.pt", config=tmp_path / "config.json")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "offset"])
def test_a_language_models_config_without_a_needed_key(registry: Path, tmp_path: Path, key: str):
    folder = tmp_path / "model"
    shutil.copytree(registry.parent / "TWIST-7B", folder)
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=f"lacks `{key}`"):
        hubconf.twist_ulm(checkpoint=folder)


def test_a_speaker_or_style_that_does_not_exist(registry: Path):
    expresso = hubconf.unit_hifigan("expresso", zoo="tiny-twist", registry=registry)
    names = ", ".join(expresso.speakers)
    for wrong in ("ex99", 7, -1):
        with pytest.raises(ValueError, match=f"`speaker` must be 0 to 6, or one of {names}, but is {wrong!r}"):
            expresso(torch.tensor([1]), speaker_id=wrong)
    with pytest.raises(ValueError, match=r"`style` must be 0 to 4, but is 5\."):
        expresso(torch.tensor([1]), style_id=5)
    single = hubconf.unit_hifigan("lj", zoo="tiny-twist", registry=registry)
    with pytest.raises(ValueError, match="`speaker` must be left out: this vocoder has no speakers"):
        single.speak([[1]], speaker="ex01")


@pytest.mark.parametrize("name", ["../evil.json", "a/../../evil.json", "/evil.json"])
def test_archives_with_paths_that_leave_their_folder(tmp_path: Path, name: str):
    place = tmp_path / "in" / "side"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "TWIST-350M.zip", "w") as archive:
        archive.writestr(name, "{}")
    with tarfile.open(place / "vocoder.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    for load, file in ((hubconf.twist_ulm, "TWIST-350M.zip"), (hubconf.unit_hifigan, "vocoder.tar.gz")):
        with pytest.raises(CheckpointError, match="leaves its folder"):
            load(checkpoint=place / file)
    assert not list(tmp_path.rglob("evil.json"))


def test_nothing_of_it_is_an_index_error_on_the_way_in(twist: Pipeline):
    """Not even deep in a batch, where the published class fails with an index error."""
    with pytest.raises(ValueError, match="codebook"):
        twist.synthesizer(torch.tensor([0, 1, K]))
