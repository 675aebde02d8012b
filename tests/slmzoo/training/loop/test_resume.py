"""A resumed run: what it may change, what it may not, and what its files say of its making."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from slmcore.errors import CheckpointError
from slmzoo.training.loop.fit import fit, provenance
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import RunSettings, TrainSettings
from slmzoo.training.tasks.codebook import CodebookSettings
from slmzoo.training.tasks.codec import CodecSettings
from slmzoo.training.tasks.ellav import EllavSettings
from slmzoo.training.tasks.encoder import EncoderSettings
from tests.reference.tiny_task import Line, settings


def train(chosen: TrainSettings) -> Line:
    task = Line(chosen)
    fit(task, chosen, Run.open(chosen))
    return task


def kept(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text())


def held(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


@pytest.mark.parametrize("steps", [1, 11])
def test_a_run_is_not_resumed_to_fewer_steps_than_it_has_done(tmp_path, steps):
    chosen = settings(tmp_path / "run")
    train(chosen)
    before = held(chosen.run)
    with pytest.raises(ValueError, match=r"`steps` must be at least 12, .*last\.ckpt, but is"):
        train(replace(chosen, resume=True, steps=steps))
    assert held(chosen.run) == before
    train(replace(chosen, resume=True, steps=12))
    train(replace(chosen, resume=True, steps=16))
    assert Run(chosen.run).train.columns()["loss"][0][-1] == 16


@pytest.mark.parametrize(("name", "value", "was"), [("seed", 4, "0"), ("init", "model.safetensors", "None")])
def test_options_that_the_run_began_with_stay(tmp_path, name, value, was):
    chosen = settings(tmp_path / "run", steps=4)
    train(chosen)
    before = held(chosen.run)
    with pytest.raises(ValueError, match=rf"`{name}` must be {was}, with which .*run began, but is .*--overwrite"):
        train(replace(chosen, resume=True, **{name: value}))
    assert held(chosen.run) == before
    train(replace(chosen, overwrite=True, seed=4))
    assert kept(chosen.run)["seed"] == 4


SPEECH = {"audio": ["speech"]}
UNITS = {name: Path(name) for name in ("train", "validation", "train_speech", "validation_speech")}


@pytest.mark.parametrize(
    ("kind", "needed", "changed"),
    [
        (CodebookSettings, SPEECH, {"layer": 3}),
        (CodebookSettings, SPEECH, {"frame_fraction": 0.2}),
        (CodebookSettings, SPEECH, {"encoder_zoo": "lab"}),
        (EncoderSettings, SPEECH, {"held_out": 5}),
        (EncoderSettings, SPEECH, {"clusters": 50}),
        (EncoderSettings, SPEECH, {"teacher": Path("wavlm.safetensors")}),
        (EncoderSettings, SPEECH, {"teacher_layer": 2, "teacher": Path("t")}),
        (CodecSettings, {**SPEECH, "validation": ["dev"], "encoder_only_until": 9}, {"whitening": 0.5}),
        (EllavSettings, UNITS, {"codec": "lab"}),
        (EllavSettings, UNITS, {"seed": 1}),
    ],
)
def test_what_lies_in_the_folder_is_not_taken_for_something_else(
    tmp_path, kind: type[RunSettings], needed: dict, changed: dict
):
    chosen = kind(run=tmp_path / "run", **needed)
    Run.open(chosen)
    Run.check(replace(chosen, resume=True))
    with pytest.raises(ValueError, match=rf"`({'|'.join(changed)})` must be"):
        Run.check(replace(chosen, resume=True, **changed))


def test_settings_by_their_former_names_are_those_of_the_run(tmp_path, caplog):
    chosen = CodebookSettings(run=tmp_path / "run", audio=["speech"], frame_fraction=0.3)
    Run.open(chosen)
    file = chosen.run / "config.yaml"
    file.write_text(file.read_text().replace("frame_fraction:", "share:").replace("save_half:", "half:"))
    assert {"share", "half"} <= kept(chosen.run).keys()
    Run.open(replace(chosen, resume=True))
    assert "other settings" not in caplog.text
    with pytest.raises(ValueError, match=r"`frame_fraction` must be 0\.3, with which"):
        Run.check(replace(chosen, resume=True, frame_fraction=0.4))
    with pytest.raises(ValueError, match=r"`frame_fraction` must be 0\.3, with which"):
        Run.check(replace(chosen, resume=True, frame_fraction=0.1))


def test_a_finished_run_keeps_what_it_was_trained_with(tmp_path, caplog):
    chosen = settings(tmp_path / "run", steps=4)
    train(chosen)
    again = replace(chosen, resume=True, steps=4, lr=0.5, batch=8, licence="CC0-1.0", zoo="lab")
    train(again)
    assert "is finished: lr, batch stay" in caplog.text or "is finished: batch, lr stay" in caplog.text
    found = provenance(again, "train line")["settings"]
    assert (found["lr"], found["batch"], found["licence"], found["zoo"]) == (0.05, 4, "CC0-1.0", "lab")
    assert "earlier" not in provenance(again, "train line")


class Killed(BaseException):
    pass


def test_what_was_changed_on_the_way_stays_known(tmp_path, monkeypatch):
    chosen, loss = settings(tmp_path / "run"), Line.loss
    for kill_at, more in ((5, {}), (9, {"lr": 0.01}), (10, {"lr": 0.01, "clip": 2.0})):

        def dies(self, part, batch, context, last=kill_at):
            if context.step == last:
                raise Killed
            return loss(self, part, batch, context)

        monkeypatch.setattr(Line, "loss", dies)
        with pytest.raises(Killed):
            train(replace(chosen, resume=True, **more))
    monkeypatch.undo()
    final = replace(chosen, resume=True, lr=0.01, clip=2.0)
    train(final)
    found = provenance(final, "train line")
    assert (found["settings"]["lr"], found["settings"]["clip"]) == (0.01, 2.0)
    assert found["earlier"] == [{"until_step": 4, "lr": 0.05}, {"until_step": 8, "clip": 1.0}]


def test_nothing_was_trained_with_options_before_the_first_checkpoint(tmp_path):
    chosen = settings(tmp_path / "run")
    Run.open(chosen)
    final = replace(chosen, resume=True, lr=0.01)
    train(final)
    assert "earlier" not in provenance(final, "train line")
    assert provenance(final, "train line")["settings"]["lr"] == 0.01


def test_a_checkpoint_of_what_weights_do_not_tell_apart_is_refused(tmp_path, monkeypatch):
    chosen = settings(tmp_path / "run", steps=4)
    monkeypatch.setattr(Line, "identity", lambda self: {"heads": 2, "lmbda": 4.0})
    train(chosen)
    train(replace(chosen, resume=True, steps=6))
    before = held(chosen.run)
    monkeypatch.setattr(Line, "identity", lambda self: {"heads": 2, "lmbda": 5.0})
    with pytest.raises(CheckpointError, match=r"it has \{'lmbda': 4.0\}, not \{'lmbda': 5.0\}"):
        train(replace(chosen, resume=True, steps=8))
    assert held(chosen.run) == before


def test_a_checkpoint_from_before_identities_is_taken(tmp_path):
    chosen = settings(tmp_path / "run", steps=4)
    train(chosen)
    state = torch.load(chosen.run / "last.ckpt", weights_only=True)
    del state["identity"]
    torch.save(state, chosen.run / "last.ckpt")
    train(replace(chosen, resume=True, steps=6))
    assert torch.load(chosen.run / "last.ckpt", weights_only=True)["step"] == 6
