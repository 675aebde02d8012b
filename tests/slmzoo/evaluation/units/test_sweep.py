from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from dpdp import bits_per_second
from slmcore import audio
from slmzoo.cli import main
from slmzoo.evaluation import evaluate_units
from slmzoo.evaluation.report.compare import compare_results
from slmzoo.evaluation.units import feature_store, sweep, sweeping
from slmzoo.systems import dp_slm

ALIGNED = '"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "phones" 0 1 2 0 0.5 "a" 0.5 1 "b"'


@pytest.fixture(autouse=True)
def _tiny_zoo(registry, monkeypatch) -> None:
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    monkeypatch.setattr(feature_store, "RECORDINGS_PER_FILE", 2)


@pytest.fixture
def data(tmp_path: Path, speech) -> Path:
    """Three clips of less than a second, with alignments, items and words."""
    wav, sr = speech
    for folder in ("wavs", "aligned"):
        (tmp_path / folder).mkdir()
    lines = ["#file onset offset #phone prev-phone next-phone speaker\n"]
    for i in range(3):
        audio.write(tmp_path / "wavs" / f"c{i}.wav", wav[:, i * sr // 2 :][:, : sr * 3 // 4], sr)
        (tmp_path / "aligned" / f"c{i}.TextGrid").write_text(ALIGNED)
        lines += [f"c{i} {on} {on + 0.2} {p} x y s{i % 2}\n" for on, p in ((0, "a"), (0.25, "b"), (0.5, "a"))]
    (tmp_path / "tri.item").write_text("".join(lines))
    (tmp_path / "said.txt").write_text("c0 one two\nc1 three\nc2 four\n")
    return tmp_path


def run(data: Path, out: str, *arguments: object) -> int:
    known = ("--alignments", data / "aligned", "--item", data / "tri.item")
    call = ("eval", "sweep", data / "wavs", "--k", 20, *known, "--out", data / out, "--zoo", "tiny", *arguments)
    return main([str(word) for word in (*call, "--resamples", 20)])


def scores_of(folder: Path) -> dict[tuple[str, str], dict]:
    content = json.loads((folder / "sweep.json").read_text())
    return {(score["metric"], score["subset"]["lmbda"]): score for score in content["scores"]}


def test_every_point_is_that_of_its_quantiser(data, pipeline):
    assert run(data, "out", "--lmbda", 0, 4, 1000) == 0
    found = scores_of(data / "out")
    wavs = [audio.load(data / "wavs" / f"c{i}.wav") for i in range(3)]
    features = [pipeline.encoder.features(wav, sr, pipeline.operating_point.layer) for wav, sr in wavs]
    for lmbda in (0, 4, 1000):
        units = dp_slm.quantizer(k=20, lmbda=lmbda, zoo="tiny").segment(features)
        score = found["bit_rate", str(lmbda)]
        assert score["value"] == pytest.approx(bits_per_second(units))
        assert score["subset"] == {"k": "20", "lmbda": str(lmbda)}
    assert found["units_per_second", "0"]["value"] > found["units_per_second", "1000"]["value"]
    assert {metric for metric, _ in found} >= {"pnmi", "boundary_f1", "abx_within", "abx_across", "codes_used"}


def test_what_was_killed_goes_on_and_ends_the_same(data, monkeypatch):
    assert run(data, "whole", "--lmbda", 0, 4, 9) == 0
    real, made = sweep.scores_at, []

    def dies(units, *arguments, **options):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(1)
        return real(units, *arguments, **options)

    monkeypatch.setattr(sweeping, "scores_at", dies)
    assert run(data, "broken", "--lmbda", 0, 4, 9) == 130
    assert not (data / "broken" / "sweep.json").exists()
    monkeypatch.setattr(sweeping, "scores_at", lambda *a, **o: made.append(1) or real(*a, **o))
    features = {file: file.stat().st_mtime_ns for file in (data / "broken" / "features").iterdir()}
    assert run(data, "broken", "--lmbda", 0, 4, 9) == 0
    assert features == {file: file.stat().st_mtime_ns for file in (data / "broken" / "features").iterdir()}
    assert len(made) == 3
    whole, again = (json.loads((data / out / "sweep.json").read_text()) for out in ("whole", "broken"))
    assert whole["scores"] == again["scores"]
    # other data is measured anew
    (data / "tri.item").write_text((data / "tri.item").read_text().replace(" s1\n", " s0\n"))
    assert run(data, "broken", "--lmbda", 0) == 0
    assert len(made) == 4
    assert ("abx_across", "0") not in scores_of(data / "broken")


def test_words_of_the_resynthesis_where_there_is_an_acoustic_model(data, monkeypatch, capsys):
    words(monkeypatch, "one two")
    assert run(data, "out", "--lmbda", 4, "--transcripts", data / "said.txt") == 0
    found = scores_of(data / "out")["wer", "4"]
    assert (found["items"], found["value"]) == (3, pytest.approx(1.0))  # 0 of 2, 2 of 1, 2 of 1
    assert run(data, "out", "--lmbda", 5, "--transcripts", data / "said.txt") == 2
    assert "ellav" in capsys.readouterr().err


def test_a_sweep_has_its_items_and_can_be_compared(data):
    assert run(data, "a", "--lmbda", 4, 9) == 0
    assert run(data, "a", "--lmbda", 4, 9) == 0  # its points are kept
    assert run(data, "b", "--lmbda", 9, 1000) == 0
    found = {
        (each.metric, each.subset["lmbda"]): each.comparison
        for each in compare_results(data / "a" / "sweep.json", data / "b" / "sweep.json")
    }
    assert {lmbda for _, lmbda in found} == {"9"}
    assert (found["bit_rate", "9"].items, found["bit_rate", "9"].difference.value) == (3, 0.0)
    score = scores_of(data / "a")["abx_within", "9"]
    assert (found["abx_within", "9"].items, found["abx_within", "9"].first) == (2, pytest.approx(score["value"]))


def words(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sweeping, "recogniser", lambda *_: lambda wav, _sr: text if wav.shape[1] else "")


def test_points_have_their_own_lambdas(data):
    whole = ("--alignments", data / "aligned", "--item", data / "tri.item", "--zoo", "tiny", "--resamples", 20)
    call = ("eval", "sweep", data / "wavs", *whole, "--out")
    assert main([str(w) for w in (*call, data / "points", "--points", "20:4", "20:9", "20:4")]) == 0
    assert main([str(w) for w in (*call, data / "grid", "--k", 20, "--lmbda", 4, 9)]) == 0
    assert scores_of(data / "points") == scores_of(data / "grid")


def test_points_are_checked(data, capsys):
    assert run(data, "out", "--points", "20:4") == 2  # beside --k
    assert "leave out --k" in capsys.readouterr().err
    assert main(["eval", "sweep", str(data / "wavs"), "--zoo", "tiny", "--points", "20"]) == 2
    assert "500:4500" in capsys.readouterr().err


def test_all_models_are_looked_for_before_any_work(data, monkeypatch, capsys):
    monkeypatch.setattr(sweeping, "features_of", lambda *_: pytest.fail("worked before it looked"))
    assert run(data, "out", "--lmbda", 4, 5, "--transcripts", data / "said.txt") == 2
    assert "ellav" in capsys.readouterr().err


def test_another_acoustic_model_is_another_result(data, registry, monkeypatch):
    """The scores of a point are not those of the file that has since been replaced."""
    own = data / "zoo"
    shutil.copytree(registry.parent, own)
    monkeypatch.setenv("SLMZOO_REGISTRY", str(own / registry.name))
    words(monkeypatch, "one two")
    arguments = ("--lmbda", 4, "--transcripts", data / "said.txt")
    assert run(data, "out", *arguments) == 0
    before = json.loads((data / "out" / "sweep.json").read_text())
    words(monkeypatch, "nothing else")
    for file in ("ellav.pt", "wavtokenizer.ckpt"):
        assert run(data, "out", *arguments) == 0
        assert scores_of(data / "out")["wer", "4"]["value"] == before_value(before)
        content = torch.load(own / file, weights_only=True)
        torch.save({**content, "note": 1}, own / file)
        for record in own.glob(f"{file}.*"):
            record.unlink()
        assert run(data, "out", *arguments) == 0
        after = json.loads((data / "out" / "sweep.json").read_text())
        name = "ellav, k = 20, lambda = 4" if file == "ellav.pt" else "wavtokenizer"
        assert after["models"][name]["sha256"] != before["models"][name]["sha256"]
        assert scores_of(data / "out")["wer", "4"]["value"] != before_value(before)
        before = after
        words(monkeypatch, f"another after {file}")


def before_value(content: dict) -> float:
    return next(score["value"] for score in content["scores"] if score["metric"] == "wer")


def test_what_is_wrong_is_named(data, capsys):
    (data / "wavs" / "c2.wav").write_bytes(b"")
    (data / "aligned" / "c1.TextGrid").unlink()
    with (data / "tri.item").open("a") as file:
        file.write("c0 0.70 5 b x y s0\nc0 3 4 b x y s0\n")
    assert run(data, "out", "--lmbda", 0) == 2
    errors = capsys.readouterr().err
    assert all(name in errors for name in ("c2", "c1", "too short (c0 3 4)"))
    assert run(data, "out", "--lmbda", 0, "--allow-missing") == 0
    assert scores_of(data / "out")["bit_rate", "0"]["items"] == 2
    assert run(data, "out") == 2
    assert "--lmbda" in capsys.readouterr().err


def test_a_sweep_is_a_function_whose_scores_are_those_of_each_point(data, pipeline):
    quantizers = [{lmbda: dp_slm.quantizer(k=20, lmbda=lmbda, zoo="tiny") for lmbda in (0.0, 9.0)}]
    files = {f"c{i}": data / "wavs" / f"c{i}.wav" for i in range(3)}
    found = sweeping.evaluate_sweep(pipeline.encoder, quantizers, files, data / "store")
    rates = {score.subset["lmbda"]: score.interval.value for score in found.scores if score.metric == "bit_rate"}
    layer = pipeline.operating_point.layer
    features = {name: pipeline.encoder.features(*audio.load(path), layer) for name, path in files.items()}
    for lmbda, quantizer in quantizers[0].items():
        alone = evaluate_units({name: quantizer.segment(x) for name, x in features.items()})
        assert rates[f"{lmbda:g}"] == pytest.approx(alone.scores[0].interval.value)
    (data / "wavs" / "c1.wav").write_bytes(b"")
    assert sweeping.evaluate_sweep(pipeline.encoder, quantizers, files, data / "b").problems["unreadable"] == ["c1"]
    with pytest.raises(ValueError, match="None of the 1 recordings can be read"):
        sweeping.evaluate_sweep(pipeline.encoder, quantizers, {"c1": files["c1"]}, data / "c")
    with pytest.raises(ValueError, match="give `speaker`"):
        annotations = sweeping.Annotations(transcripts=data / "said.txt")
        sweeping.evaluate_sweep(pipeline.encoder, quantizers, {"c0": files["c0"]}, data / "d", annotations)
