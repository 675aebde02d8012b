from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

import ellav
import mistral_ulm
import soundstream
import wavtokenizer
from slmcore.clustering import codebook
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import read, save
from slmcore.files.digests import sha256_of
from slmcore.files.registry import Row
from slmzoo.cli import main
from slmzoo.convert import convert
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file
from wavlm_codebooks import wavlm

PACKAGES = {
    "wavlm.pt": wavlm,
    "codebook.pt": codebook,
    "ulm.pt": mistral_ulm,
    "ellav.pt": ellav,
    "wavtokenizer.ckpt": wavtokenizer,
}


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("named", [False, True])
def test_both_files_load_equal(registry, tmp_path, name, named):
    source, target = registry.parent / name, tmp_path / "m.safetensors"
    kind = name.split(".", maxsplit=1)[0]
    assert convert(source, target, kind if named else None) == kind
    one, other = (PACKAGES[name].load(file).checkpoint() for file in (source, target))
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(tensor, other.state[key]) for key, tensor in one.state.items())
    assert (one.config, one.tokenizer) == (other.config, other.tokenizer)
    provenance = read(target, kind, lambda _: other).provenance
    assert provenance == {"converted_from": name, "sha256": sha256_of(source)}


def test_a_file_of_the_table_brings_its_operating_point(registry, tmp_path, monkeypatch):
    digits = sha256_of(registry.parent / "ulm.pt")[:8]
    known = Row(
        zoo="dp-slm", kind="ulm", url="https://x.org/ulm.pt", k=20, lmbda=4, sha256=digits, licence="MIT", origin="them"
    )
    monkeypatch.setattr("slmzoo.convert.registry.rows", lambda: (known,))
    convert(registry.parent / "ulm.pt", tmp_path / "m.safetensors")
    model = mistral_ulm.load(tmp_path / "m.safetensors")
    assert model.operating_point == known.operating_point
    provenance = read(tmp_path / "m.safetensors", "ulm", mistral_ulm.published).provenance
    assert (provenance["licence"], provenance["origin"]) == ("MIT", "them")


@pytest.mark.parametrize(
    ("source", "target", "kind", "message"),
    [
        ("ulm.pt", "m.pt", None, "`target` must be a .safetensors file"),
        ("ulm.pt", "none/m.safetensors", None, "existing folder"),
        ("ulm.pt", "m.safetensors", "vocoder", "`kind` must be one of .*wavlm, codebook"),
        ("ulm.pt", "m.safetensors", "codebook", "not a published checkpoint of kind 'codebook'"),
        ("m.safetensors", "n.safetensors", None, "safetensors already"),
    ],
)
def test_wrong_arguments(registry, tmp_path, source, target, kind, message):
    with pytest.raises(ValueError, match=message):
        convert(registry.parent / source, tmp_path / target, kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [{"weights": 1}, [1], torch.zeros(2)])
def test_a_file_of_no_known_format_leaves_nothing(tmp_path, content):
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"wavlm: cfg, model; codebook: codebook"):
        convert(tmp_path / "m.pt", tmp_path / "m.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]
    (tmp_path / "json.pt").write_text(json.dumps({"codebook": [1]}))
    with pytest.raises(CheckpointError):
        convert(tmp_path / "json.pt", tmp_path / "m.safetensors")
    with pytest.raises(FileNotFoundError):
        convert(tmp_path / "none.pt", tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["sd.pt", "sd.safetensors", "sd.bin"])
def test_bare_weights_are_told_how_to_be_saved(registry, tmp_path, name):
    """What `torch.save(model.state_dict())` and `save_file` of it make, and the way back in that the message names."""
    model = mistral_ulm.load(registry.parent / "ulm.pt")
    write = torch.save if name.endswith("pt") else save_file
    write(model.state_dict(), tmp_path / name)
    for attempt in (mistral_ulm.load, lambda path: convert(path, tmp_path / "m.safetensors")):
        with pytest.raises(
            CheckpointError, match=r"bare weights.*checkpoint\.save\(path, model\.checkpoint\(\)\)"
        ) as caught:
            attempt(tmp_path / name)
        assert len(str(caught.value)) < 400
    save(tmp_path / "tuned.safetensors", model.checkpoint())
    tuned = mistral_ulm.load(tmp_path / "tuned.safetensors")
    assert all(torch.equal(tensor, tuned.state_dict()[key]) for key, tensor in model.state_dict().items())


def test_safetensors_under_another_name_are_safetensors_already(registry, tmp_path):
    save(tmp_path / "m.bin", mistral_ulm.load(registry.parent / "ulm.pt").checkpoint())
    with pytest.raises(ValueError, match="safetensors already"):
        convert(tmp_path / "m.bin", tmp_path / "n.safetensors")


def test_many_unknown_keys_are_counted(tmp_path):
    torch.save({f"key{i:02}": i for i in range(39)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"'key04'\] and 34 more, but"):
        convert(tmp_path / "m.pt", tmp_path / "m.safetensors")


@pytest.mark.golden
@pytest.mark.parametrize("prefix", ["", "generator."])
def test_a_trainers_file_of_a_soundstream_is_taken_for_one(tmp_path, capsys, prefix):
    """Lightning wraps the weights as WavTokenizer's files do, and may put the module's name before every key."""
    source = soundstream_file(tmp_path / "epoch.ckpt", *goldens.load("soundstream_small"), flat=False)
    content = torch.load(source, weights_only=True)
    wrapped = {prefix + key: value for key, value in content["state_dict"].items()}
    others = {"discriminator.0.weight": torch.zeros(2)} if prefix else {}
    torch.save({**content, "state_dict": {**wrapped, **others}}, source)
    kind = ["--kind", "soundstream"] if prefix else []
    assert main(["convert", str(source), str(tmp_path / "m.safetensors"), *kind]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "soundstream"
    one, other = (soundstream.load(file).state_dict() for file in (source, tmp_path / "m.safetensors"))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_wavtokenizer_is_no_soundstream_and_the_other_way_round(registry, tmp_path):
    with pytest.raises(CheckpointError, match="no published SoundStream"):
        convert(registry.parent / "ulm.pt", tmp_path / "m.safetensors", "soundstream")
    torch.save({"state_dict": {"a.weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="a published one has the keys"):
        convert(tmp_path / "other.ckpt", tmp_path / "m.safetensors")
