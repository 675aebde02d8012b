from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import hubconf
from slmcore.errors import CheckpointError
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from tests.toy_system.parts import BandEncoder, LoudestBand


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "new"
    assert pipeline.save_pretrained(folder, {"licence": "MIT"}) == folder / "pipeline.json"
    return folder


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "changed"))


def rewrite(folder: Path, **values: object) -> None:
    file = folder / "pipeline.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_saved_pipeline_loads_back_equal(pipeline, folder, speech):
    again = Pipeline.from_pretrained(folder)
    assert not again.training
    assert (again.k, again.frame_rate, again.sample_rate) == (20, 50.0, 16000)
    assert again.operating_point == pipeline.operating_point
    assert again.sources == pipeline.sources
    state = pipeline.state_dict()
    assert state.keys() == again.state_dict().keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    wav, sr = speech[0][:, :16000], speech[1]
    units, found = pipeline.units(wav, sr), again.units(wav, sr)
    assert (found.units.tolist(), found.durations.tolist()) == (units.units.tolist(), units.durations.tolist())
    assert again.loglikelihood(found) == pipeline.loglikelihood(units)
    one, other = (each.resynthesize(wav, sr, seed=3)[0] for each in (pipeline, again))
    assert torch.equal(one.wav, other.wav)


def test_the_folder_names_models_by_role(folder):
    content = json.loads((folder / "pipeline.json").read_text())
    assert content["system"] == "dp-slm"
    assert content["parts"] == {
        "encoder": "wavlm",
        "quantizer": "dpdp",
        "ulm": "ulm",
        "synthesizer": {"ellav": "ellav", "codec": "wavtokenizer"},
    }
    files = {file.name for file in folder.iterdir()}
    names = ("encoder", "quantizer", "ulm", "synthesizer.ellav", "synthesizer.codec")
    assert files == {"pipeline.json", "README.md", *(f"{name}.safetensors" for name in names)}


def test_the_card_names_models_and_point(pipeline, folder):
    text = (folder / "README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert (header["license"], header["library_name"], header["pipeline_tag"]) == ("mit", "slmzoo", "audio-to-audio")
    assert set(header["tags"]) >= {"slmzoo", "wavlm", "dpdp", "ulm", "ellav", "wavtokenizer"}
    assert f"| k | {pipeline.k} |" in text
    assert f"| lambda | {pipeline.operating_point.lmbda:g} |" in text
    assert "| encoder, sample rate | 16000 Hz |" in text
    assert "| synthesizer.codec | `wavtokenizer` |" in text
    codebook = pipeline.sources["codebook"]
    assert f"| quantizer | `dpdp` | {codebook.licence} | {codebook.origin} |" in text
    assert f'Pipeline.from_pretrained("{folder.name}")' in text


def test_the_entry_point_on_a_card_loads_the_saved_file(pipeline, tmp_path):
    models = (pipeline.encoder, pipeline.ulm, pipeline.synthesizer.models["ellav"], pipeline.codec)
    for number, model in enumerate(models):
        file = model.save_pretrained(tmp_path / str(number))
        assert f'"{model.entry_point}", checkpoint=' in (file.parent / "README.md").read_text()
        made = getattr(hubconf, model.entry_point)(checkpoint=file)
        parts = made if isinstance(made, tuple) else (made,)
        (loaded,) = (part for part in parts if isinstance(part, type(model)))
        assert loaded.state_dict().keys() == model.state_dict().keys()
        assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_card_that_a_person_changed_is_kept(registry, tmp_path):
    bare = hub.pipeline(zoo="tiny", registry=registry, lmbda=9.0, with_ulm=False, with_speech=False)
    bare.save_pretrained(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| lambda | 9 |" in text
    assert "ulm" not in text.split("# Speech pipeline")[0]
    (tmp_path / "README.md").write_text(text.replace("# Speech pipeline", "# Units of the lab"))
    bare.save_pretrained(tmp_path, {"licence": "MIT"})
    assert "# Units of the lab" in (tmp_path / "README.md").read_text()


def test_parts_that_are_missing_stay_missing(registry, tmp_path, speech):
    bare = hub.pipeline(zoo="tiny", registry=registry, lmbda=9.0, with_ulm=False, with_speech=False)
    bare.save_pretrained(tmp_path)
    again = Pipeline.from_pretrained(tmp_path)
    assert (again.ulm, again.synthesizer, again.codec) == (None, None, None)
    point = again.operating_point
    assert point is not None
    assert point.lmbda == 9.0
    wav, sr = speech[0][:, :16000], speech[1]
    assert again.units(wav, sr).units.tolist() == bare.units(wav, sr).units.tolist()


def test_a_pipeline_of_a_codec_alone(pipeline, tmp_path, speech):
    alone = Pipeline(codec=pipeline.codec)
    alone.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "pipeline.json").read_text())["system"] is None
    wav, sr = speech[0][:, :16000], speech[1]
    assert torch.equal(Pipeline.from_pretrained(tmp_path).copy(wav, sr).wav, alone.copy(wav, sr).wav)


def test_a_pipeline_goes_to_the_hub_as_its_folder(pipeline, monkeypatch):
    sent = {}

    class Api:
        def create_repo(self, repo, **_):
            pass

        def file_exists(self, repo, file):
            return False

        def upload_folder(self, *, repo_id, folder_path, commit_message, ignore_patterns):
            sent.update({file.name: file.stat().st_size for file in Path(folder_path).iterdir()})

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    assert pipeline.push_to_hub("lab/tiny") == "hf://lab/tiny"
    assert len(sent) == 7
    assert sent["pipeline.json"] > 100


def test_a_pipeline_comes_from_the_hub(folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda repo, **_: str(folder))
    assert Pipeline.from_pretrained("hf://lab/tiny").k == 20


def test_parts_that_cannot_be_saved_are_named(tmp_path):
    toy = Pipeline(BandEncoder(5), LoudestBand(5, 1.0))
    with pytest.raises(ValueError, match=r"encoder.*BandEncoder"):
        toy.save_pretrained(tmp_path)


def test_int8_weights_are_not_saved(registry, tmp_path):
    rounded = hub.pipeline(zoo="tiny", registry=registry, weights="int8-weight-only", with_speech=False)
    with pytest.raises(ValueError, match="int8"):
        rounded.save_pretrained(tmp_path)


def test_a_folder_without_a_pipeline(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pipeline\.json"):
        Pipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"version": 2},
        {"format": "other"},
        {"parts": {"encoder": "pickle"}},
        {"parts": {"../encoder": "wavlm"}},
        {"parts": {"synthesizer": {"../ellav": "ellav"}}},
        {"parts": ["encoder"]},
        {"system": "unknown"},
        {"sources": {"ulm": {"zoo": 3}}},
    ],
)
def test_damaged_descriptions_are_refused(changed, values):
    rewrite(changed, **values)
    with pytest.raises(CheckpointError, match=r"pipeline\.json"):
        Pipeline.from_pretrained(changed)


def test_a_file_that_is_missing_or_of_another_kind(changed):
    shutil.copy(changed / "ulm.safetensors", changed / "encoder.safetensors")
    with pytest.raises(CheckpointError, match="'ulm'"):
        Pipeline.from_pretrained(changed)
    (changed / "encoder.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="encoder"):
        Pipeline.from_pretrained(changed)
