"""A pipeline speaks with the acoustic model that it asks for by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmcore.clustering.codebook import Codebook
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import save
from slmcore.files.zoofile import add_row
from slmcore.layers.int8 import Int8Linear
from slmcore.units import OperatingPoint
from slmzoo import cli, hub, synthesizers
from slmzoo.ellav_synthesizer import EllaVSynthesizer
from slmzoo.pipeline import Pipeline
from tests.reference import tiny_twist, tiny_zoo
from tests.reference.recipe import GOLDEN
from tests.reference.tiny_zoo import LAYER, LMBDA, NEIGHBORS, K
from twist import UnitVocoder, VocoderConfig

POINT = {"encoder": "tiny", "layer": LAYER, "k": K, "lmbda": LMBDA, "num_neighbors": NEIGHBORS}


def add_vocoder(registry: Path, variant: str | None = None, width: int = 4, **point: object) -> UnitVocoder:
    """Add a unit vocoder at an operating point to a zoo."""
    at = {**POINT, **point}
    sizes = {"channels": 16, "rates": (5, 8, 8), "kernels": (11, 16, 16), "dim": 8, "block_kernels": (3,)}
    config = VocoderConfig(num_units=at["k"], **sizes, block_dilations=((1,),), duration_width=width)
    torch.manual_seed(len(variant or ""))
    zoo = json.loads(registry.read_text())["zoo"]
    model = UnitVocoder(config, OperatingPoint(zoo=zoo, **at)).eval()
    name = f"vocoder-{variant}-{at['lmbda']}.safetensors"
    save(registry.parent / name, model.checkpoint())
    add_row(registry, zoo, {"kind": "unit_hifigan", "variant": variant, "file": name, "frame_rate": 50.0, **at})
    return model


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tiny_zoo.write(tmp_path)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wav, rate = audio.load(GOLDEN / "speech.wav")
    path = tmp_path_factory.mktemp("wavs") / "talk.wav"
    audio.write(path, wav[:, :rate], rate)
    return path


def load(registry: Path, synthesizer: str | None, zoo: str = "tiny", **options: object) -> Pipeline:
    return hub.pipeline(zoo=zoo, registry=registry, synthesizer=synthesizer, **options)


def test_a_unit_vocoder_takes_the_place_of_the_systems_own(registry: Path, talk: Path):
    vocoder = add_vocoder(registry)
    made = load(registry, "hifigan")
    assert isinstance(load(registry, None).synthesizer, EllaVSynthesizer)
    wav, rate = audio.load(talk)
    units = made.units(wav, rate)
    assert torch.equal(made.resynthesize(wav, rate)[0].wav[0], vocoder(units.framewise()))
    predicted = made.resynthesize(wav, rate, keep_durations=False)[0]
    assert torch.equal(predicted.wav[0], vocoder(units.units, dur_prediction=True))
    assert made.sources["unit_hifigan"].k == K
    assert made.codec is None
    (continued,) = made.continue_speech(wav, rate, 0.5, max_new_units=5)
    assert len(continued.speech.durations) == len(continued.prompt) + len(continued.units)


def test_the_systems_own_can_be_named(registry: Path):
    assert isinstance(load(registry, "ellav").synthesizer, EllaVSynthesizer)
    assert {"ellav", "hifigan", "tacotron"} <= set(synthesizers.names())


def test_own_durations_alone_where_none_are_predicted(registry: Path, talk: Path):
    add_vocoder(registry, width=0)
    made = load(registry, "hifigan")
    wav, rate = audio.load(talk)
    assert made.resynthesize(wav, rate)[0].finished
    with pytest.raises(ValueError, match="predicts no durations"):
        made.continue_speech(wav, rate, 0.5, max_new_units=2)


def test_several_at_one_point_are_listed_and_one_is_named(registry: Path):
    models = [add_vocoder(registry, name) for name in ("lj", "voices")]
    with pytest.raises(ValueError, match=r"one of hifigan:lj, hifigan:voices, but is 'hifigan'.*several at this"):
        load(registry, "hifigan")
    for name, model in zip(("lj", "voices"), models, strict=True):
        loaded = load(registry, f"hifigan:{name}").synthesizer
        assert torch.equal(loaded(torch.arange(5)), model(torch.arange(5)))
    with pytest.raises(ValueError, match=r"one of hifigan:lj, hifigan:voices, but is 'hifigan:css'"):
        load(registry, "hifigan:css")


def test_that_of_the_operating_point_is_taken(registry: Path):
    here, other = add_vocoder(registry, "a"), add_vocoder(registry, "other", lmbda=9.0)
    assert torch.equal(load(registry, "hifigan").synthesizer(torch.arange(3)), here(torch.arange(3)))
    far = load(registry, "hifigan", lmbda=9.0, with_ulm=False)
    assert torch.equal(far.synthesizer(torch.arange(3)), other(torch.arange(3)))
    assert far.quantizer.operating_point.lmbda == 9.0


@pytest.mark.parametrize(("asked", "words"), [
    ("hifi", "one of ellav, hifigan, tacotron, but is 'hifi'"),
    ("tacotron", "has no tacotron; it has ellav, hifigan"),
])  # fmt: skip
def test_other_names_are_refused(registry: Path, asked: str, words: str):
    add_vocoder(registry)
    with pytest.raises(ValueError, match=words):
        load(registry, asked)


def test_a_vocoder_of_another_point_is_refused_with_the_points_there_are(registry: Path):
    add_vocoder(registry, "far", lmbda=9.0)
    with pytest.raises(ValueError, match=r"of this operating point.*k=20, lambda 9 \(hifigan:far\)"):
        load(registry, "hifigan")
    other = registry.parent / "layers"
    other.mkdir()
    layers = tiny_zoo.write(other)
    add_vocoder(layers, layer=LAYER + 1)
    with pytest.raises(ValueError, match="of this operating point"):
        load(layers, "hifigan")


def test_a_zoo_of_encoder_codebook_and_vocoder_resynthesises(registry: Path, talk: Path, capsys):
    add_vocoder(registry)
    content = json.loads(registry.read_text())
    content["rows"] = [row for row in content["rows"] if row["kind"] in ("wavlm", "codebook", "unit_hifigan")]
    registry.write_text(json.dumps(content))
    out = registry.parent / "out"
    words = ["resynth", str(talk), "--zoo", "tiny", "--registry", str(registry), "--out", str(out), "--json"]
    assert cli.main([*words, "--synthesizer", "hifigan"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["k"], row["lmbda"], row["loglikelihood"]) == (K, LMBDA, None)
    assert audio.load(row["wavs"][0])[1] == 16000
    with pytest.raises(ValueError, match="no ulm"):
        load(registry, "hifigan", needs=("language_model",))


def test_in_other_systems(tmp_path: Path, talk: Path):
    registry = tiny_twist.write(tmp_path)
    named = load(registry, "hifigan:lj", zoo="tiny-twist")
    usual = load(registry, None, zoo="tiny-twist")
    assert torch.equal(named.synthesizer(torch.arange(4)), usual.synthesizer(torch.arange(4)))
    with pytest.raises(ValueError, match="hifigan:lj, hifigan:expresso"):
        load(registry, "hifigan", zoo="tiny-twist")
    with pytest.raises(ValueError, match="frames per second is 25"):
        load(registry, "hifigan:expresso", zoo="tiny-twist")


def test_int8_weights_are_those_of_the_language_model(registry: Path):
    add_vocoder(registry)
    made = load(registry, "hifigan", weights="int8")
    assert any(isinstance(module, Int8Linear) for module in made.ulm.modules())
    with pytest.raises(ValueError, match="`weights` must be float for a UnitVocoder"):
        load(registry, "hifigan", weights="int8", with_ulm=False)


def test_a_vocoder_of_ones_own_speaks_units_of_any_zoo(registry: Path, talk: Path, tmp_path: Path):
    other = tmp_path / "mine"
    other.mkdir()
    mine = tiny_zoo.write(other)
    mine.write_text(mine.read_text().replace('"tiny", "rows"', '"mine", "rows"'))
    model = add_vocoder(mine)
    assert model.operating_point.zoo == "mine"
    add_vocoder(mine, "far", lmbda=9.0)
    (file,) = other.glob("vocoder-None-*.safetensors")
    made = load(registry, str(file))
    wav, rate = audio.load(talk)
    units = made.units(wav, rate)
    assert torch.equal(made.resynthesize(wav, rate)[0].wav[0], model(units.framewise()))
    assert made.synthesizer.operating_point.zoo == "tiny"
    (wrong,) = other.glob("vocoder-far-*.safetensors")
    with pytest.raises(ValueError, match=r"vocoder-far-9.0.safetensors and the units do not belong together \(lmbda"):
        load(registry, str(wrong))
    with pytest.raises(FileNotFoundError):
        load(registry, str(other / "none.safetensors"))
    save(other / "codebook.safetensors", Codebook(torch.randn(4, 2)).checkpoint())
    with pytest.raises(CheckpointError, match="'unit_hifigan' is needed"):
        load(registry, str(other / "codebook.safetensors"))
