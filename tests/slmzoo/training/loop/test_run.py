from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slmzoo.training.loop.curves import curves_figure, draw_curves
from slmzoo.training.loop.run import Run, Table
from tests.reference.tiny_task import settings


def test_a_folder_that_is_taken_is_refused_and_nothing_in_it_changes(tmp_path):
    chosen = settings(tmp_path / "run")
    run = Run.open(chosen)
    run.save("last.ckpt", {"step": 3}, "nothing")
    with pytest.raises(FileExistsError, match="--resume to continue it, or --overwrite"):
        Run.open(chosen)
    assert run.load("last.ckpt") == {"step": 3}
    assert Run.open(replace(chosen, resume=True)).load("last.ckpt") == {"step": 3}
    assert Run.open(replace(chosen, overwrite=True)).load("last.ckpt") is None


def test_only_a_run_is_ever_removed(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for how in ({"overwrite": True}, {"resume": True}, {}):
        with pytest.raises(FileExistsError, match="holds no run"):
            Run.open(settings(tmp_path, **how))
    with pytest.raises(FileExistsError, match="is a file"):
        Run.open(settings(tmp_path / "thesis.tex", overwrite=True))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    Run.open(settings(tmp_path / "empty"))


def test_other_settings_are_told_when_a_run_goes_on(tmp_path, caplog):
    chosen = settings(tmp_path / "run")
    Run.open(chosen)
    Run.open(replace(chosen, resume=True))
    assert not caplog.records
    Run.open(replace(chosen, resume=True, steps=20))
    assert "steps: 12 -> 20" in caplog.text
    assert "lr" not in caplog.text


def test_another_process_of_the_run_leaves_the_folder_alone(tmp_path, monkeypatch):
    chosen = settings(tmp_path / "run")
    Run.open(chosen)
    with pytest.raises(FileExistsError):
        Run.open(chosen)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("NODE_RANK", "1")
    Run.open(chosen)
    Run.open(replace(chosen, run=tmp_path / "never"))
    assert not (tmp_path / "never").exists()
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ValueError, match="whole numbers"):
        Run.open(chosen)


def test_a_table_may_grow_columns_lose_its_end_and_survive_half_a_row(tmp_path):
    table = Table(tmp_path / "t.csv")
    table.append(1, {"loss": 1 / 3})
    table.append(2, {"loss": 0.25, "gain": 7.0})
    table.append(3, {"loss": 0.125})
    assert table.columns() == {"loss": ([1, 2, 3], [0.333333333, 0.25, 0.125]), "gain": ([2], [7.0])}
    with table.path.open("a") as file:
        file.write("4")
    table.cut(2)
    assert table.columns() == {"loss": ([1, 2], [0.333333333, 0.25]), "gain": ([2], [7.0])}
    table.append(3, {"loss": 0.5})
    assert table.columns()["loss"] == ([1, 2, 3], [0.333333333, 0.25, 0.5])


def test_nine_digits_tell_neighbouring_floats_apart(tmp_path):
    values = [float(torch.tensor(0.1)), float(torch.nextafter(torch.tensor(0.1), torch.tensor(1.0)))]
    table = Table(tmp_path / "t.csv")
    for step, value in enumerate(values):
        table.append(step, {"x": value})
    assert torch.equal(torch.tensor(table.columns()["x"][1]), torch.tensor(values))


def test_a_save_that_fails_leaves_the_one_before(tmp_path):
    run = Run.open(settings(tmp_path / "run"))
    run.save("last.ckpt", {"step": 1}, "nothing")
    with pytest.raises(AttributeError):
        run.save("last.ckpt", {"step": lambda: None}, "nothing")
    assert run.load("last.ckpt") == {"step": 1}
    assert {f.name for f in run.path.iterdir()} == {"config.yaml", "last.ckpt"}


def test_curves_need_figures(tmp_path):
    run = Run.open(settings(tmp_path / "run"))
    assert draw_curves(run) is None
    run.train.append(1, {"loss": 2.0, "seconds": 1.0})
    run.validation.append(1, {"error": 2.0})
    path = draw_curves(run)
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")


def test_every_figure_of_a_short_run_shows(tmp_path):
    """One logged point is drawn with a marker; several points in training are a line; nothing is drawn of no value."""
    run = Run.open(settings(tmp_path / "run"))
    run.train.append(10, {"loss": 2.0, "rest": float("nan"), "seconds": 1.0})
    run.validation.append(10, {"error": 2.0})
    short = curves_figure(run)
    assert short is not None
    assert [axes.get_title(loc="left") for axes in short.axes] == ["loss", "error"]
    assert all(line.get_marker() == "." for axes in short.axes for line in axes.lines)
    run.train.append(20, {"loss": 1.0, "rest": 3.0})
    longer = curves_figure(run)
    assert longer is not None
    looks = {
        axes.get_title(loc="left"): (axes.lines[0].get_path().vertices.shape[0], axes.lines[0].get_marker())
        for axes in longer.axes
    }
    assert looks == {"loss": (2, "None"), "rest": (2, "None"), "error": (1, ".")}


def test_a_run_without_a_finite_value_has_no_picture(tmp_path):
    run = Run.open(settings(tmp_path / "run"))
    run.train.append(10, {"loss": float("nan"), "seconds": 1.0})
    assert curves_figure(run) is None
