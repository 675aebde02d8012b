from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from slmcore.files.checkpoint import save
from slmcore.files.zoofile import add_row
from slmzoo.recipes.demo import __main__ as whole
from slmzoo.recipes.demo import speechtokenizer as stage
from slmzoo.recipes.demo.common import DEMO, demo_point
from slmzoo.training.tasks.speechtokenizer import SpeechTokenizerSettings
from speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig
from wavlm_codebooks import wavlm


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's folder, as far as the stage writes to it."""
    (tmp_path / "demo").mkdir()
    shutil.copy(DEMO / "zoo.json", tmp_path / "demo")
    monkeypatch.setattr(stage, "DEMO", tmp_path / "demo")
    return tmp_path / "demo"


def test_two_codecs_that_differ_in_the_teacher_alone_are_trained(demo: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "wavs").mkdir()
    asked: list[SpeechTokenizerSettings] = []
    shipped = []
    monkeypatch.setattr(stage, "train", asked.append)
    monkeypatch.setattr(stage, "ship", lambda run, file, **more: shipped.append((run.name, file)))
    monkeypatch.setattr(stage, "compare", shipped.append)
    stage.make(tmp_path, tmp_path / "runs")
    distilled, plain = (each.kept() for each in asked)
    assert {name for name in plain if plain[name] != distilled[name]} == {"run", "teacher", "teacher_layer"}
    assert (distilled["teacher"], distilled["teacher_layer"]) == ("demo", str(demo_point().layer))
    assert (plain["teacher"], asked[0].resume, asked[1].resume) == (None, True, True)
    assert shipped == [("speechtokenizer", "speechtokenizer.safetensors"), tmp_path / "runs"]
    model = SpeechTokenizer(asked[0].sizes(wavlm.load(DEMO / "wavlm.safetensors").dim))
    assert sum(value.numel() for value in model.state_dict().values()) * 2 < 3e6
    assert (model.hop, model.num_codebooks) == (320, 8)
    (row,) = [r for r in json.loads((demo / "zoo.json").read_text())["rows"] if r["kind"] == "speechtokenizer"]
    assert (row["file"], row["encoder"], row["frame_rate"]) == ("speechtokenizer.safetensors", None, 50.0)
    assert not list(demo.glob(".*"))
    assert "speechtokenizer" in whole.STAGES


def test_the_report_has_the_figures_of_both(tmp_path: Path, monkeypatch) -> None:
    for arm, folder in stage.ARMS.items():
        config = SpeechTokenizerConfig(strides=(4, 5), n_filters=2, dimension=4 if arm == "plain" else 6)
        torch.manual_seed(0)
        run = tmp_path / folder
        run.mkdir()
        save(run / "model.safetensors", SpeechTokenizer(config).checkpoint())
        add_row(run / "zoo.json", "mine", {"kind": "speechtokenizer", "file": "model.safetensors"})
    monkeypatch.setattr(stage.benchmark, "make", lambda folder: folder)
    monkeypatch.setattr(
        stage, "measure", lambda model, mini, out: {"width": model.config.dimension, "in": [mini.name, out.name]}
    )
    stage.compare(tmp_path)
    found = json.loads((tmp_path / "speechtokenizer.json").read_text())
    assert found == {
        "distilled": {"width": 6, "in": ["data", "distilled"]},
        "plain": {"width": 4, "in": ["data", "plain"]},
    }
