from __future__ import annotations

import csv
import errno
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slmcore.errors import CheckpointError
from slmcore.files import registry
from slmcore.files.checkpoint import Checkpoint
from slmcore.units import OperatingPoint
from slmzoo.training.loop import fit as fitting
from slmzoo.training.loop.fit import fit, publish
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from tests.reference.tiny_task import Line, settings


def train(chosen: TrainSettings, **more: object) -> Line:
    task = Line(chosen, **more)  # pyright: ignore[reportArgumentType]
    fit(task, chosen, Run.open(chosen))
    return task


def curve(run: Path, name: str = "train.csv") -> list[dict[str, str]]:
    with (run / name).open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def state(run: Path) -> dict:
    return torch.load(run / "last.ckpt", weights_only=True)


def same(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


class Killed(BaseException):
    pass


@pytest.mark.parametrize("rival", [False, True])
@pytest.mark.parametrize("kill_at", [0, 4, 9])
def test_a_run_killed_at_any_step_goes_on_bit_for_bit(tmp_path, monkeypatch, rival, kill_at):
    whole = settings(tmp_path / "whole", accumulate=2)
    train(whole, rival=rival)
    stopped = replace(whole, run=tmp_path / "stopped")
    task, loss = Line(stopped, rival=rival), Line.loss

    def dies(self, part, batch, context):
        if context.step == kill_at and part == "line":
            raise Killed
        return loss(self, part, batch, context)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Line, "loss", dies)
        fit(task, stopped, Run.open(stopped))
    train(replace(stopped, resume=True), rival=rival)
    assert curve(stopped.run) == curve(whole.run)
    assert len(curve(whole.run)) == 12
    assert curve(stopped.run, "validation.csv") == curve(whole.run, "validation.csv")
    assert same(state(stopped.run), state(whole.run))


def test_it_learns_and_leaves_logs_curves_and_the_best_weights(tmp_path):
    chosen = settings(tmp_path / "run", steps=60, lr=0.02, validate_every=20, save_every=60)
    task = train(chosen)
    errors = [float(row["error"]) for row in curve(chosen.run, "validation.csv")]
    assert errors[-1] < 0.5 * float(curve(chosen.run)[0]["error"])
    assert task.shown == [20, 40, 60]
    assert (chosen.run / "curves.png").stat().st_size > 5000
    with torch.no_grad():
        sums = [task.validate(batch) for batch in task.validation()]
    measured = sum(float(s["error"]) for s in sums) / sum(float(s["count"]) for s in sums)
    assert measured == pytest.approx(min(errors), rel=1e-5)
    assert not task.training
    # The schedule: from the first rate to the highest, then down to the last.
    rates = [float(row["lr"]) for row in curve(chosen.run)]
    assert rates[0] == pytest.approx(1e-7)
    assert max(rates) == rates[3] == pytest.approx(0.02)
    assert rates[-1] == pytest.approx(1e-5)
    middle = 1e-5 + (0.02 - 1e-5) * 0.5 * (1 + math.cos(math.pi * (30 - 3) / (59 - 3)))
    assert rates[30] == pytest.approx(middle)


def test_batches_of_a_step_are_averaged(tmp_path):
    """Two batches a step give the gradient of their mean: AdamW's state shows it after one step."""
    chosen = settings(tmp_path / "run", steps=1, accumulate=2, clip=1e9)
    task = Line(chosen).eval()
    monkey = task.train
    task.train = lambda mode=True: monkey(False)  # dropout off, so that the oracle needs no random numbers of the run
    twin = Line(chosen).eval()
    fit(task, chosen, Run.open(chosen))
    from slmzoo.training.loop.task import StepContext, generator

    for number in range(2):
        batch = twin.batch(generator(0, 0, 3 * number))
        found = twin.loss("line", batch, StepContext(0, generator(0, 0, 3 * number + 1)))
        assert found is not None
        (found[0] / 2).backward()
    moments = state(chosen.run)["optimizers"]["line"]["state"]
    for index, parameter in enumerate(twin.model.parameters()):
        torch.testing.assert_close(moments[index]["exp_avg"], 0.1 * parameter.grad)


def test_a_part_can_rest_and_parts_do_not_touch_each_other(tmp_path):
    chosen = settings(tmp_path / "run", steps=2)
    task = Line(chosen, rival=True)
    before = task.rival.weight.clone()
    fit(task, chosen, Run.open(chosen))
    assert torch.equal(task.rival.weight, before)
    assert "loss_rival" not in curve(chosen.run)[0]
    longer = settings(tmp_path / "longer", steps=4)
    moved = train(longer, rival=True)
    assert not torch.equal(moved.rival.weight, before)
    assert curve(longer.run)[0]["loss_rival"] == ""
    assert float(curve(longer.run)[3]["loss_rival"]) > 0


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_run_and_keeps_the_last_good_state(tmp_path, monkeypatch, how):
    chosen = settings(tmp_path / "run", log_every=5)
    loss = Line.loss

    def breaks(self, part, batch, context):
        value, figures = loss(self, part, batch, context)
        if context.step == 5:
            # The root's gradient at zero is infinite, and times zero is not a number, while its value is finite.
            value = value * math.nan if how == "loss" else value + (value * 0).sqrt() * 0
        return value, figures

    monkeypatch.setattr(Line, "loss", breaks)
    with pytest.raises(FloatingPointError, match=r"at step 5\. .*last\.ckpt holds the last good state"):
        train(chosen)
    kept = state(chosen.run)
    assert kept["step"] == 4
    assert all(bool(torch.isfinite(v).all()) for v in kept["task"].values())
    monkeypatch.undo()
    train(replace(chosen, resume=True))
    assert state(chosen.run)["step"] == 12


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path, monkeypatch):
    chosen = settings(tmp_path / "run")
    save = torch.save

    def full(state, file):
        if state["step"] == 8 and "optimizers" in state:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"No space left.*last\.ckpt holds the last good state.*--resume"):
        train(chosen)
    assert not list(chosen.run.glob("*.part"))
    assert state(chosen.run)["step"] == 4
    monkeypatch.undo()
    train(replace(chosen, resume=True))
    whole = settings(tmp_path / "whole")
    train(whole)
    assert curve(chosen.run) == curve(whole.run)


def test_patience_ends_a_run_that_does_not_improve(tmp_path, monkeypatch):
    chosen = settings(tmp_path / "run", steps=40, validate_every=2, patience=3)
    values = iter([5.0, 4.0, 4.5, 4.2, 4.1, 1.0])
    monkeypatch.setattr(Line, "figures", lambda self, sums: {"error": next(values)})
    train(chosen)
    assert [row["error"] for row in curve(chosen.run, "validation.csv")] == ["5", "4", "4.5", "4.2", "4.1"]
    assert state(chosen.run)["step"] == 10
    assert torch.load(chosen.run / "best.ckpt", weights_only=True)["step"] == 4
    train(replace(chosen, resume=True))  # there is nothing left to do
    assert next(values) == 1.0


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    chosen = settings(tmp_path / "run", steps=4)
    train(chosen)
    again = replace(chosen, resume=True)
    with pytest.raises(CheckpointError, match="of another model: size mismatch"):
        train(again, width=9)
    with pytest.raises(CheckpointError, match="optimisers for"):
        train(again, rival=True)
    (chosen.run / "last.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        train(again)


def test_bfloat16_trains_and_keeps_float32_weights(tmp_path):
    chosen = settings(tmp_path / "run", precision="bf16", steps=20)
    train(chosen)
    rows = curve(chosen.run)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert all(v.dtype == torch.float32 for v in state(chosen.run)["task"].values())


def test_batches_made_in_other_processes_are_the_same(tmp_path):
    here, there = settings(tmp_path / "here"), settings(tmp_path / "there", workers=2)
    train(here)
    train(there)
    assert curve(here.run) == curve(there.run)


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(tmp_path, monkeypatch, tracker):
    monkeypatch.setattr(fitting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"pip install {tracker}"):
        train(settings(tmp_path / "run", logger=tracker))


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_figures_go_to_a_tracker(tmp_path, monkeypatch, tracker):
    from lightning.pytorch import loggers

    class Kept(loggers.CSVLogger):
        def __init__(self, *args, **named):
            super().__init__(tmp_path / "tracked")
            self.rows = kept

        def log_metrics(self, metrics, step=None):
            self.rows.append((step, dict(metrics)))

    kept: list[tuple[int, dict]] = []
    monkeypatch.setattr(fitting.importlib.util, "find_spec", lambda name: name == tracker or None)
    monkeypatch.setattr(loggers, {"tensorboard": "TensorBoardLogger", "wandb": "WandbLogger"}[tracker], Kept)
    train(settings(tmp_path / "run", steps=4, log_every=2, logger=tracker))
    assert [(step, sorted(found)) for step, found in kept] == [
        (2, ["train/error", "train/loss", "train/lr"]),
        (4, ["train/error", "train/loss", "train/lr"]),
        (4, ["validation/error"]),
    ]
    assert kept[1][1]["train/loss"] == pytest.approx(float(curve(tmp_path / "run")[1]["loss"]))


def test_an_interrupt_stays_one(tmp_path, monkeypatch):
    def interrupted(self, part, batch, context):
        raise KeyboardInterrupt

    monkeypatch.setattr(Line, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(settings(tmp_path / "run"))


def test_without_lightning_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(ImportError, match=r"slmzoo\[train\]"):
        train(settings(tmp_path / "run"))


def test_importing_the_framework_does_not_import_lightning():
    modules = (
        "slmzoo.training.loop.fit, slmzoo.training.loop.run, slmzoo.training.loop.settings, slmzoo.training.loop.task"
    )
    code = f"import sys, {modules}; assert 'lightning' not in sys.modules; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def checkpoint(point: OperatingPoint | None, kind: str = "ulm") -> Checkpoint:
    return Checkpoint(kind=kind, config={}, state={"w": torch.ones(2)}, operating_point=point)


def test_what_is_published_is_found_by_its_point(tmp_path):
    shared = tmp_path / "zoo" / "zoo.json"
    chosen = settings(tmp_path / "run", registry=shared, zoo="lab", licence="MIT", save_half=True)
    point = OperatingPoint(zoo="demo", encoder="wavlm_lab", layer=3, k=50, lmbda=2.5, num_neighbors=4)
    publish(chosen, checkpoint(point), frame_rate=50.0)
    publish(replace(chosen, licence="CC0-1.0"), checkpoint(replace(point, lmbda=7)))
    publish(chosen, checkpoint(None, "wavtokenizer"), sample_rate=24000)
    publish(chosen, checkpoint(point), frame_rate=25.0)  # in place of the first
    rows = {(row.kind, row.lmbda): row for row in registry.rows("lab", registry=shared)}
    assert list(rows) == [("ulm", 7.0), ("wavtokenizer", None), ("ulm", 2.5)]
    found = registry.find("ulm", zoo="lab", k=50, lmbda=2.5, registry=shared)
    assert (found.frame_rate, found.licence, found.operating_point) == (25.0, "MIT", replace(point, zoo="lab"))
    assert Path(found.url) == shared.parent / "ulm-k50-lmbda2.5.safetensors"
    from slmcore.files.checkpoint import read

    written = read(found.url, "ulm", lambda obj: obj)
    assert written.operating_point == replace(point, zoo="lab")
    assert written.state["w"].dtype == torch.float16


def test_a_registry_of_another_zoo_is_refused_before_anything_is_trained(tmp_path):
    chosen = settings(tmp_path / "run", registry=tmp_path / "zoo.json", zoo="lab")
    publish(chosen, checkpoint(None, "wavtokenizer"))
    other = replace(chosen, run=tmp_path / "other", zoo="field")
    with pytest.raises(ValueError, match="`zoo` must be 'lab'"):
        Run.open(other)
    assert not other.run.exists()


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    """The same batches, shared out: equal to rounding."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from slmzoo.training.loop.fit import fit; from slmzoo.training.loop.run import Run\n"
        "from tests.reference.tiny_task import Line, settings\n"
        "chosen = settings(Path(sys.argv[1]), accumulate=4, devices=int(sys.argv[2]))\n"
        "fit(Line(chosen, rival=True), chosen, Run.open(chosen))\n"
    )
    root = str(Path(__file__).parents[4])
    for devices in ("1", "2"):
        run = [sys.executable, str(script), str(tmp_path / devices), devices]
        subprocess.run(run, check=True, timeout=300, cwd=root, env={**os.environ, "PYTHONPATH": root})
    one, two = (curve(tmp_path / devices) for devices in ("1", "2"))
    assert len(one) == len(two) == 12
    for row, other in zip(one, two, strict=True):
        assert float(row["loss_line"]) == pytest.approx(float(other["loss_line"]), rel=1e-4)
