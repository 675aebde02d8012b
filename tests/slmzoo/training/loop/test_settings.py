from __future__ import annotations

import pytest
import torch
import yaml

from slmzoo.arguments import OptionsParser
from slmzoo.training.loop.settings import RunSettings, TrainSettings
from slmzoo.training.loop.task import generator
from slmzoo.training.options.file import arguments_of_yaml
from slmzoo.training.options.run import Optimization
from tests.reference.tiny_task import settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resume": True, "overwrite": True}, "contradict"),
        ({"zoo": "dp-slm"}, "another name"),
        ({"zoo": "demo"}, "another name"),
        ({"steps": 0}, "`steps` must be a number >= 1"),
        ({"lr": float("nan")}, "`lr`"),
        ({"clip": 0.0}, "`clip`"),
        ({"warmup": -1}, "`warmup`"),
        ({"seed": -1}, "`seed`"),
        ({"patience": 0}, "`patience`"),
        ({"devices": 2, "nodes": 2, "accumulate": 6}, r"a multiple of all devices \(4\)"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path / "run", **wrong)


def test_a_device_that_is_not_there_is_refused(tmp_path):
    assert settings(tmp_path).torch_device == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="`device` must be one of"):
            RunSettings(run=tmp_path, device="cuda").torch_device  # noqa: B018


def parse(arguments: list[str]) -> TrainSettings:
    return OptionsParser(TrainSettings, "slmzoo train x").parse_args(arguments_of_yaml(arguments)).options


def test_a_yaml_file_holds_options_and_the_command_line_comes_first(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(
        "steps: 5\nbatch: 2\nlr: 1e-3\nbetas: [0.8, 0.9]\nsave_half: true\nregistry: null\nweight-decay: 0\n"
    )
    found = parse(["--steps", "7", "--config", str(file), "--run", "here"])
    assert (found.steps, found.batch, found.lr, found.betas, found.save_half) == (7, 2, 1e-3, (0.8, 0.9), True)
    assert (found.registry, found.weight_decay, found.config) == (None, 0.0, file)
    assert parse([f"--config={file}", "--run", "here", "--save-half", "false"]).save_half is False


def test_what_a_run_keeps_repeats_it(tmp_path):
    chosen = settings(tmp_path / "run", betas=(0.5, 0.6), save_half=True, eps=1e-9, patience=4)
    file = tmp_path / "kept.yaml"
    file.write_text(yaml.safe_dump(chosen.kept()))
    assert parse(["--config", str(file)]).kept() == chosen.kept()


@pytest.mark.parametrize("line", ["stepz: 5", "step: 5", "steps: many"])
def test_unknown_and_wrong_options_of_a_file_are_refused(tmp_path, capsys, line):
    file = tmp_path / "lab.yaml"
    file.write_text(line)
    with pytest.raises(SystemExit) as error:
        parse(["--run", "here", "--steps", "1", "--batch", "1", "--lr", "1", "--config", str(file)])
    assert error.value.code == 2
    assert line.split(":", maxsplit=1)[0] in capsys.readouterr().err


@pytest.mark.parametrize("content", ["- a\n- b", "just text", "a: {b: 1}", "a: [", "1: 2", "\x00"])
def test_a_file_that_is_no_mapping_of_options_is_refused(tmp_path, content):
    file = tmp_path / "lab.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"YAML|must be a value"):
        arguments_of_yaml(["train", "ulm", "--config", str(file)])


def test_the_schedule_rises_and_falls():
    rates = Optimization(steps=10, lr=1.0, first_lr=0.0, last_lr=0.1, warmup=4)
    found = [rates.lr_at(step) for step in range(10)]
    assert found[:5] == [0, 0.25, 0.5, 0.75, 1.0]
    assert found[4:] == sorted(found[4:], reverse=True)
    assert found[9] == pytest.approx(0.1)
    assert rates.lr_at(100) == found[9]


def test_random_numbers_belong_to_seed_step_and_stream():
    first = [float(torch.rand(1, generator=generator(*at))) for at in [(0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 0)]]
    assert len(set(first[:4])) == 4
    assert first[0] == first[4]


def test_every_option_is_documented_with_what_it_means(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    assert "Batches per step, distributed over the devices" in " ".join(shown.split())
