"""Results say everything that a reader must know, are whole, and are the same when made again."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from slmcore.files.digests import sha256_of
from slmzoo import invocation
from slmzoo.cli import main
from slmzoo.evaluation.report.compare import cautions, compare_results
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.report.results import Findings, Result, Score, insist, items_of, read, score_items, table
from slmzoo.evaluation.report.statistics import Bootstrap, Interval

BOOTSTRAP = Bootstrap(resamples=200)


def rows(values: list[float], **columns: list) -> list[dict]:
    named = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}] * len(values)
    return [{"item": f"w{i}", "value": v, **c} for i, (v, c) in enumerate(zip(values, named, strict=True))]


def result(values: list[float], task: str = "swuggy", **more) -> Result:
    made = rows(values, length=["10", "2", "2", ""])
    told = {"conventions": {"reduction": "sum", "bos": True}, "models": {"ulm": {"sha256": "ab" * 32}}}
    scores = score_items("accuracy", made, ["length"], "accuracy", BOOTSTRAP)
    found = Findings(**{"scores": scores, "tables": {"accuracy": made}, **told, **more})
    return found.result(task, BOOTSTRAP, ["slmzoo", "eval", "swuggy", "x"])


def test_a_result_holds_all_that_a_reader_must_know(tmp_path):
    content = json.loads(result([1, 0, 0.5, 1]).save(tmp_path / "new").read_text())
    assert content["scores"][0]["value"] == 0.625
    assert content["scores"][0]["low"] < 0.625 < content["scores"][0]["high"]
    assert [s["subset"] for s in content["scores"]] == [{}, {"length": "2"}, {"length": "10"}]
    assert content["scores"][1] | {"low": 0, "high": 0} == {
        "metric": "accuracy", "subset": {"length": "2"}, "value": 0.25, "low": 0, "high": 0, "items": 2,
        "unit": "accuracy", "method": "percentile",
    }  # fmt: skip
    assert content["conventions"] == {"reduction": "sum", "bos": True}
    assert content["statistics"]["seed"] == 0
    assert content["statistics"]["resamples"] == 200
    assert content["models"]["ulm"]["sha256"] == "ab" * 32
    assert content["command"] == "slmzoo eval swuggy x"
    assert content["complete"] is True
    assert {"slmzoo", "torch", "python"} <= set(content["versions"])
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["swuggy.accuracy.csv", "swuggy.json"]


def test_made_again_it_is_the_same_file(tmp_path):
    one, other = (result([1, 0, 0.5, 1]).save(tmp_path / name) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_the_json_comes_last(tmp_path, monkeypatch):
    """A run that is killed between the files leaves no JSON that speaks of csvs that are not there."""
    from slmzoo.evaluation.report import results

    written = []

    def note(path, text):
        written.append(path.name)
        path.write_text(text)

    monkeypatch.setattr(results, "write_atomically", note)
    result([1, 0, 1, 1]).save(tmp_path)
    assert written == ["swuggy.accuracy.csv", "swuggy.json"]


def test_items_come_back_and_changed_ones_are_refused(tmp_path):
    path = result([1, 0, 0.5, 1]).save(tmp_path)
    assert items_of(path, "accuracy")[2] == {"item": "w2", "value": "0.5", "length": "2"}
    (tmp_path / "swuggy.accuracy.csv").write_text("item,value\nw0,1\n")
    with pytest.raises(ValueError, match="was changed"):
        items_of(path, "accuracy")
    with pytest.raises(ValueError, match="one of accuracy"):
        items_of(path, "wer")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "slmzoo-evaluation", "version": 2}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json"):
        read(tmp_path / "x.json")


def test_weights_belong_to_items():
    made = [{"item": "a", "value": 0.5, "weight": 2}, {"item": "b", "value": 0.1, "weight": 8}]
    assert score_items("wer", made)[0].interval.value == pytest.approx(0.18)
    with pytest.raises(ValueError, match="`item`"):
        score_items("wer", [made[0], made[0]])


def test_problems_are_named_and_only_allowed_when_asked(tmp_path):
    problems = {"missing": [f"f{i}" for i in range(9)], "extra": [], "duplicated": ["d"]}
    with pytest.raises(
        ValueError, match=r"9 missing \(f0, f1, f2, f3, f4, \.\.\.\); 1 duplicated \(d\).*--allow-missing"
    ):
        insist(problems, False)
    insist(problems, True)
    insist({"missing": []}, False)
    content = read(result([1, 0, 0, 0], problems=problems).save(tmp_path))
    assert content["complete"] is False
    assert content["problems"] == {"missing": problems["missing"], "duplicated": ["d"]}
    assert "incomplete: 9 missing, 1 duplicated" in table(content)


def test_a_score_that_is_not_defined_is_null(tmp_path):
    nothing = Score(metric="wer", interval=Interval(value=None, low=None, high=None), items=0)
    infinite = Score(metric="ppl", interval=Interval(value=float("inf"), low=1.0, high=float("inf")), items=3)
    content = read(Findings(scores=[nothing, infinite]).result("speech").save(tmp_path))
    assert [(s["value"], s["high"]) for s in content["scores"]] == [(None, None), (None, None)]
    assert table(content).splitlines()[2].split() == ["wer", "-", "-", "..", "-", "0"]


def test_compare_pairs_by_item_and_names_what_it_is_made_of(tmp_path):
    first = result([1, 0, 0, 1]).save(tmp_path / "a")
    second = result([1, 1, 1, 1]).save(tmp_path / "b")
    everything, two, ten = compare_results(first, second, BOOTSTRAP)
    found = everything.comparison
    assert (found.first, found.second, found.difference.value) == (0.5, 1.0, 0.5)
    assert everything.comparison.mcnemar_p == 0.5
    assert (dict(two.subset), two.comparison.items, two.comparison.difference.value) == ({"length": "2"}, 2, 1.0)
    assert (ten.comparison.items, ten.comparison.difference.value) == (1, 0.0)
    other = result([1, 1, 1, 1], task="sblimp").save(tmp_path / "c")
    with pytest.raises(ValueError, match="no metric in common"):
        compare_results(first, other)


def test_compare_on_the_command_line(tmp_path, capsys, terminal):
    first = result([1, 0, 0, 1]).save(tmp_path / "a")
    second = result([1, 1, 1, 1]).save(tmp_path / "b")
    assert main(["eval", "compare", str(first), str(second), "--resamples", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["metric", "subset", "first", "second", "difference"]
    assert lines[1].split()[:4] == ["accuracy", "0.5000", "1.0000", "0.5000"]
    target = tmp_path / "d.jsonl"
    assert main(["eval", "compare", str(first), str(second), "--jsonl", str(target)]) == 0
    capsys.readouterr()
    assert main(["eval", "compare", str(first), str(second), "--json"]) == 0
    assert capsys.readouterr().out == target.read_text()
    assert json.loads(target.read_text().splitlines()[1])["subset"] == {"length": "2"}
    assert main(["eval", "compare", str(first), str(tmp_path / "a" / "swuggy.accuracy.csv")]) == 2


def test_compare_says_what_makes_a_comparison_mislead(tmp_path, caplog):
    first = result([1, 0, 0, 1]).save(tmp_path / "a")
    others = {"reduction": "mean", "bos": True, "k": 100, "part": {"tier": "x"}}
    problems = {"missing": ["w9", "w8"]}
    second = result([1, 1, 1, 1], conventions=others, problems=problems).save(tmp_path / "b")
    assert cautions(first, first) == []
    conventions, incomplete = cautions(first, second)
    assert conventions == "These results differ in their conventions: reduction (sum and mean), part.tier (None and x)."
    assert incomplete == f"{second} is not complete: 2 missing."
    assert main(["eval", "compare", str(first), str(second), "--resamples", "20"]) == 0
    assert [record.getMessage() for record in caplog.records] == [conventions, incomplete]


def test_what_cannot_be_compared_is_said(tmp_path, capsys):
    first = result([1, 0, 0, 1]).save(tmp_path / "a")
    scores = score_items("accuracy", rows([1.0, 0.0]), (), "", BOOTSTRAP)
    sevens = [replace(score, subset={"length": "7"}) for score in scores]
    of_subset = result([1, 1, 1, 1], scores=sevens).save(tmp_path / "b")
    assert main(["eval", "compare", str(first), str(of_subset)]) == 2
    assert "no subsets of a metric in common" in capsys.readouterr().err
    strangers = [{**row, "item": f"x{row['item']}"} for row in rows([1.0, 0.0, 1.0])]
    apart = result([1, 1, 1, 1], scores=scores, tables={"accuracy": strangers}).save(tmp_path / "c")
    assert main(["eval", "compare", str(first), str(apart)]) == 2
    assert "no items in common" in capsys.readouterr().err
    bare = result([1, 1, 1, 1], scores=scores, tables={}).save(tmp_path / "d")
    assert main(["eval", "compare", str(bare), str(bare)]) == 2
    assert "no csv of items" in capsys.readouterr().err


def test_all_problems_are_in_a_file_until_there_is_a_result(tmp_path):
    problems = {"missing": [f"f{i}" for i in range(9)], "extra": []}
    report = tmp_path / "out" / "swuggy.problems.json"
    with pytest.raises(ValueError, match=r"swuggy\.problems\.json names all"):
        insist(problems, False, report)
    assert json.loads(report.read_text()) == {"missing": problems["missing"]}
    result([1, 0, 0, 1]).save(tmp_path / "out")
    assert not report.exists()


def test_the_command_is_what_main_was_given_and_a_shell_takes_it(tmp_path, monkeypatch):
    given: list[list[str]] = []
    monkeypatch.setattr("sys.argv", ["pytest", "something", "else"])
    monkeypatch.setattr(
        "slmzoo.commands.evaluate.compare.Compare.run", lambda _: given.append(invocation.command()) or 0
    )
    arguments = ["eval", "compare", "a b.json", "it's.json"]
    assert main(arguments) == 0
    assert given == [["slmzoo", *arguments]]
    assert invocation.command() == []
    content = read(replace(result([1, 0, 0, 1]), command=given[0]).save(tmp_path))
    assert shlex.split(content["command"]) == given[0]


def test_models_of_others_are_told_apart(tmp_path):
    (tmp_path / "text.txt").write_text("a b")
    found = outside(f"ngram:{tmp_path / 'text.txt'}")
    assert found["sha256"] == sha256_of(tmp_path / "text.txt")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"x")
    assert set(outside(str(tmp_path / "model"))) == {"name", "model.safetensors"}
    assert outside("pocketsphinx")["name"] == "pocketsphinx"
    assert "torchaudio" in read(result([1, 0, 0, 1]).save(tmp_path))["versions"]
