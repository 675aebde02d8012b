from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from slmcore.errors import CheckpointError
from slmcore.files.huggingface import is_model_folder, read_config, read_weights

STATE = {"model.a.weight": torch.arange(6.0).view(2, 3), "lm_head.weight": torch.ones(2, dtype=torch.float16)}


def equal(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(
        torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in STATE.items()
    )


def indexed(folder: Path, name: str, places: dict[str, str]) -> None:
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def test_weights_in_one_file(tmp_path):
    torch.save(STATE, tmp_path / "pytorch_model.bin")
    assert equal(read_weights(tmp_path))
    # Where there are both, no pickle is read.
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert equal(read_weights(tmp_path))


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_weights_in_several_files(tmp_path, ending):
    name = "model.safetensors" if ending == ".safetensors" else "pytorch_model.bin"
    places = {}
    for number, (key, value) in enumerate(STATE.items()):
        places[key] = f"part-{number}{ending}"
        (save_file if ending == ".safetensors" else torch.save)({key: value}, tmp_path / places[key])
    indexed(tmp_path, name, places)
    assert equal(read_weights(tmp_path))
    (tmp_path / places["lm_head.weight"]).unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks part-1{ending}"):
        read_weights(tmp_path)


@pytest.mark.parametrize("place", ["../other.bin", "/etc/passwd", "a\\b.bin", "deep/part.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path, place):
    torch.save(STATE, tmp_path.parent / "other.bin")
    indexed(tmp_path, "pytorch_model.bin", dict.fromkeys(STATE, place))
    with pytest.raises(CheckpointError, match="names of files beside it"):
        read_weights(tmp_path)


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        read_weights(tmp_path)
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="weight_map"):
        read_weights(tmp_path)
    torch.save({"model": STATE}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no bare weights"):
        read_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match="web page"):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"xx")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is no readable"):
        read_weights(tmp_path)


class Planted:
    def __reduce__(self) -> tuple:
        return (Path("/nowhere-at-all").touch, ())


def test_code_in_a_pickle_is_refused(tmp_path):
    torch.save({"a.weight": Planted()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="refused without running it"):
        read_weights(tmp_path)


@pytest.mark.parametrize(("text", "words"), [("{}", "model_type"), ("[]", "no JSON object"), ("{", "no JSON")])
def test_configs_of_something_else(tmp_path, text, words):
    assert not is_model_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(text)
    assert is_model_folder(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        read_config(tmp_path)
