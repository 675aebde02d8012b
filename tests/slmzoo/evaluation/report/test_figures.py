"""Pictures show what the results hold, beside what was published, and nothing is drawn of what is not there."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import pytest

from slmcore.files import registry as table
from slmzoo.cli import main
from slmzoo.evaluation.report.figures import abx_figure, bands_figure, likelihood_figure, rate_figure, values_of
from slmzoo.evaluation.report.published import POINTS
from slmzoo.evaluation.report.results import Findings, Score, read, score_items
from slmzoo.evaluation.report.statistics import Bootstrap, Interval


def score(metric: str, value: float | None, **subset: str) -> Score:
    low, high = (None, None) if value is None else (0.9 * value, 1.1 * value)
    return Score(metric=metric, interval=Interval(value=value, low=low, high=high), items=3, subset=subset)


def saved(folder: Path, *scores: Score, **conventions: object) -> Path:
    return Findings(scores=scores, conventions=conventions).result("units").save(folder)


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What is drawn, as axes, in place of a file."""
    from slmzoo.evaluation.report import figures

    kept: list = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure.axes[0]))
    return kept


def labels(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_published_points_are_those_that_there_are_models_for():
    assert len(POINTS) == 24
    assert {(p.k, p.lmbda) for p in POINTS} == {(p.k, p.lmbda) for p in table.operating_points("dp-slm")}


def test_wer_against_bit_rate_beside_what_was_published(tmp_path, drawn):
    path = saved(tmp_path, score("bit_rate", 90.0), score("wer", 0.4), k=100, lmbda=1910)
    assert rate_figure(values_of("demo", read(path)), tmp_path / "x.png")
    (axes,) = drawn
    assert labels(axes) == [*(f"published, k = {k}" for k in (100, 200, 500, 1000)), "measured, k = 100"]
    published = {(float(x), float(y)) for line in axes.lines[:4] for x, y in zip(*line.get_data(), strict=True)}
    assert published == {(p.bits_per_second, p.wer) for p in POINTS}
    x, y = axes.lines[4].get_data()
    assert (list(x), list(y)) == ([90.0], [40.0])


def test_a_suite_and_a_sweep_say_where_each_score_lies(tmp_path, drawn):
    suite = Findings(
        scores=[score("units.bit_rate", 90.0), score("originals.wer", 0.05), score("resynthesis.wer", 0.4)],
        conventions={"k": 100, "lmbda": 5.0, "units": {"tier": "phones"}},
    )
    values = values_of("mini", read(suite.result("mini").save(tmp_path / "a")))
    assert [(v.metric, v.value, v.k, v.lmbda) for v in values] == [("bit_rate", 90.0, 100, 5.0), ("wer", 0.4, 100, 5.0)]
    scores = [score("abx_within", 0.1 + i / 100, k="100", lmbda=str(x)) for i, x in enumerate((200, 0, 50))]
    swept = values_of("sweep", read(saved(tmp_path / "b", *scores)))
    assert abx_figure(swept, tmp_path / "x.png")
    x, y = drawn[0].lines[0].get_data()
    assert list(x) == [0, 50, 200]
    assert list(y) == pytest.approx([11, 12, 10])
    assert labels(drawn[0]) == ["within, k = 100"]


def test_features_and_units_and_results_are_lines_of_their_own(tmp_path, drawn):
    values = []
    for folder in ("a", "b"):
        for i, on in enumerate(("features", "units")):
            scores = [score("abx_within", 0.1 * (i + 1), lmbda=str(x)) for x in (0, 50)]
            values += values_of(folder, read(saved(tmp_path / folder, *scores, k=100, on=on)))
    assert abx_figure(values, tmp_path / "x.png")
    wanted = [f"within, {on}, k = 100, {folder}" for on in ("features", "units") for folder in ("a", "b")]
    assert labels(drawn[0]) == wanted
    assert [len(line.get_data()[0]) for line in drawn[0].lines if len(line.get_data()[0])][:4] == [2] * 4


@pytest.mark.parametrize("lmbda", [0.0, 1410.0])
def test_results_at_one_lambda_stand_side_by_side(tmp_path, drawn, lmbda):
    values = []
    for i, on in enumerate(("features", "units")):
        scores = [score(f"abx_{which}", 0.1 * (i + 1) + j / 100) for j, which in enumerate(("within", "across"))]
        values += values_of("a", read(saved(tmp_path / on, *scores, k=200, lmbda=lmbda, on=on)))
    assert abx_figure(values, tmp_path / "x.png")
    (axes,) = drawn
    assert axes.get_xlabel() == f"λ = {lmbda:g}"
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks == [f"{which}\n{on}\nk = 200" for which in ("across", "within") for on in ("features", "units")]
    places = [line.get_data() for line in axes.lines if line.get_marker() in ("o", "s", "D", "^")]
    assert [x.tolist() for x, _ in places] == [[0], [1], [2], [3]]
    assert [float(y[0]) for _, y in places] == pytest.approx([11, 21, 10, 20])
    assert axes.get_legend() is None


def test_bands_stand_in_their_order(tmp_path, drawn):
    rows = [{"item": b, "value": i / 5, "frequency_band": b} for i, b in enumerate(["100+", "5-19", "oov", "1-4"])]
    found = score_items("accuracy", rows, ["frequency_band"], bootstrap=Bootstrap(resamples=5))
    path = saved(tmp_path, *found)
    assert bands_figure(values_of("a", read(path)), tmp_path / "x.png")
    assert [t.get_text() for t in drawn[0].get_xticklabels()] == ["oov", "1-4", "5-19", "100+"]
    places = dict(zip(*drawn[0].lines[0].get_data(), strict=True))
    assert places == pytest.approx({0: 40, 1: 60, 2: 20, 3: 0})


def test_likelihoods_of_both_sides(tmp_path, drawn):
    rows = [{"value": str(v), "side": side} for side in ("positive", "negative") for v in (-3.0, -1.0)]
    assert likelihood_figure(rows, tmp_path / "x.png")
    assert labels(drawn[0]) == ["right", "wrong"]
    assert not likelihood_figure(rows[:2], tmp_path / "x.png")


def test_what_is_not_there_is_not_drawn(tmp_path, drawn):
    values = values_of("a", read(saved(tmp_path, score("wer", 0.1), score("bit_rate", None), k=1, lmbda=2)))
    assert [v.metric for v in values] == ["wer"]
    assert not any(draw(values, tmp_path / "x.png") for draw in (rate_figure, abx_figure, bands_figure))
    assert not drawn


def test_on_the_command_line(tmp_path, capsys):
    rows = [{"item": f"r{i}", "value": -float(i), "side": ["positive", "negative"][i % 2]} for i in range(8)]
    scores = [score("bit_rate", 90.0), score("wer", 0.4)]
    found = Findings(scores=scores, tables={"loglikelihood": rows}, conventions={"k": 100, "lmbda": 5})
    path = found.result("x").save(tmp_path)
    assert main(["eval", "figures", str(path), "--out", str(tmp_path / "png")]) == 0
    files = [Path(json.loads(line)["figure"]) for line in capsys.readouterr().out.splitlines()]
    assert [file.name for file in files] == ["wer-bitrate.png", "loglikelihood-x.png"]
    assert all(matplotlib.image.imread(file).shape[2] == 4 for file in files)
    bare = saved(tmp_path / "bare", score("wer", 0.1))
    assert main(["eval", "figures", str(bare), "--out", str(tmp_path / "png")]) == 1
    assert "nothing" in capsys.readouterr().err
    (tmp_path / "no.json").write_text(json.dumps({}))
    assert main(["eval", "figures", str(tmp_path / "no.json")]) == 2
