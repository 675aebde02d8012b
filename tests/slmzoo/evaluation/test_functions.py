"""Evaluations are functions: a benchmark is scored in a line, and agrees with scores worked out one by one."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
import torch

import slmzoo.evaluation
from slmcore import audio
from slmcore.units import Units
from slmzoo.evaluation import (
    PRESETS,
    AbxTask,
    GenerationTask,
    SpeechMetrics,
    evaluate_abx,
    evaluate_pairs,
    evaluate_scores,
    evaluate_speech,
    evaluate_text_information,
    evaluate_units,
)
from slmzoo.evaluation.likelihood.layouts import salmon
from slmzoo.evaluation.units.abx import read_items
from slmzoo.evaluation.units.text_information import ProbeConfig
from slmzoo.pipeline import Pipeline


@pytest.fixture
def folder(tmp_path: Path, speech) -> Path:
    """SALMon's layout: two pairs of one task and one of another."""
    wav, rate = speech
    clips = iter(range(6))
    for task, indices in (("sentiment_consistency", (0, 1)), ("speaker_consistency", (0,))):
        (tmp_path / task).mkdir()
        for index in indices:
            for side in (0, 1):
                i = next(clips)
                clip = wav[:, 5000 * i : 5000 * i + 7000 + 1000 * i]
                audio.write(tmp_path / task / f"sample_{index}_{side}.wav", clip, rate)
    return tmp_path


def by_hand(pipeline: Pipeline, file: Path) -> float:
    """Mean log-probability of all units but the first, as TWIST is scored."""
    units = pipeline.units(*audio.load(file)).units
    logprobs = pipeline.ulm.logprobs([units], bos=False, eos=False)[0]
    return float(logprobs.double().mean())


def test_salmon_is_scored_in_a_line(pipeline, folder):
    found = evaluate_pairs(pipeline, salmon(folder), PRESETS["twist"])
    values = {row["item"]: row["value"] for row in found.tables["loglikelihood"]}
    expected = {name: by_hand(pipeline, folder / f"{name}.wav") for name in values}
    assert len(values) == 6
    assert values == pytest.approx(expected, abs=1e-4)
    wins = {
        task: [float(expected[f"{task}/sample_{i}_0"] > expected[f"{task}/sample_{i}_1"]) for i in indices]
        for task, indices in (("sentiment_consistency", (0, 1)), ("speaker_consistency", (0,)))
    }
    shares = {score.subset.get("task"): score.interval.value for score in found.scores}
    assert shares[None] == pytest.approx(sum(map(sum, wins.values())) / 3)
    assert all(shares[task] == pytest.approx(sum(won) / len(won)) for task, won in wins.items())
    assert found.conventions["reduction"] == "mean"
    assert {len(model["sha256"]) for model in found.models.values()} == {64}


def test_a_store_keeps_the_units_and_changes_nothing(pipeline, folder, tmp_path, monkeypatch):
    benchmark = salmon(folder)
    free = evaluate_pairs(pipeline, benchmark)
    kept = evaluate_pairs(pipeline, benchmark, store=tmp_path / "store")
    assert kept.tables == free.tables
    monkeypatch.setattr(Pipeline, "units", lambda *_: pytest.fail("encoded again"))
    assert evaluate_pairs(pipeline, benchmark, store=tmp_path / "store").tables == free.tables


def test_problems_are_seen_before_scores_and_may_stop_them(pipeline, folder):
    (folder / "speaker_consistency" / "sample_0_1.wav").unlink()
    (folder / "sentiment_consistency" / "sample_1_0.wav").write_bytes(b"")
    found = evaluate_pairs(pipeline, salmon(folder))
    assert found.problems["unreadable"] == ["sentiment_consistency/sample_1_0"]
    assert [score.items for score in found.scores if not score.subset] == [1]

    def refuse(problems):
        raise ValueError(f"{sorted(problems)} are too many")

    with pytest.raises(ValueError, match="unreadable"):
        evaluate_pairs(pipeline, salmon(folder), check=refuse)


def test_without_a_language_model_there_is_no_likelihood(pipeline, folder):
    alone = Pipeline(pipeline.encoder, pipeline.quantizer)
    with pytest.raises(ValueError, match="language model"):
        evaluate_pairs(alone, salmon(folder))


def test_ready_scores_are_compared(folder):
    scores = {name: float(i) for i, name in enumerate(salmon(folder).ids)}
    assert evaluate_scores(salmon(folder), scores).scores[0].interval.value == 0.0
    assert evaluate_scores(salmon(folder), {n: -v for n, v in scores.items()}).scores[0].interval.value == 1.0
    assert evaluate_scores(salmon(folder), dict.fromkeys(scores, 2.0)).scores[0].interval.value == 0.5


def test_bit_rate_of_units(pipeline, speech):
    wav, rate = speech
    units = {"a": pipeline.units(wav[:, :20000], rate), "b": pipeline.units(wav[:, 20000:], rate)}
    found = evaluate_units(units)
    pooled = Counter(u for each in units.values() for u in each.units.tolist())
    number = pooled.total()
    entropy = -sum(n / number * math.log2(n / number) for n in pooled.values())
    seconds = sum(int(each.durations.sum()) / each.frame_rate for each in units.values())
    assert found.scores[0].metric == "bit_rate"
    assert found.scores[0].interval.value == pytest.approx(entropy * number / seconds)
    with pytest.raises(ValueError, match="units"):
        evaluate_units({})


def test_abx_of_two_phones_that_differ(tmp_path):
    """Frames of phone x are one code and those of y another: no triple is wrong, and with all alike half are."""
    lines = ["#file onset offset #phone prev-phone next-phone speaker"]
    lines += [f"r {i * 0.1:.1f} {i * 0.1 + 0.1:.1f} {'xy'[i % 2]} a b s" for i in range(8)]
    (tmp_path / "x.item").write_text("\n".join(lines) + "\n")
    items, codes = read_items(tmp_path / "x.item"), torch.arange(8).remainder(2).repeat_interleave(10)
    options = {"distance": "identical", "speakers": ["within"]}
    assert evaluate_abx({"r": codes}, items, 100.0, **options).scores[0].interval.value == 0.0
    alike = evaluate_abx({"r": torch.zeros(80, dtype=torch.int64)}, items, 100.0, AbxTask(context="any"), **options)
    assert alike.scores[0].interval.value == 0.5


def test_speech_equal_to_its_originals_has_a_pitch_correlation_of_one(tmp_path, speech):
    pytest.importorskip("jiwer")
    wav, rate = speech
    for name in ("a", "b"):
        audio.write(tmp_path / f"{name}.wav", wav, rate)
    found = evaluate_speech(tmp_path, SpeechMetrics(names=["f0"]), originals=tmp_path)
    assert [(score.metric, score.interval.value) for score in found.scores] == [("f0", pytest.approx(1.0))]
    assert (found.conventions, found.models) == ({"sample_rate": 16000}, {})
    with pytest.raises(ValueError, match="f0 needs originals"):
        evaluate_speech(tmp_path, SpeechMetrics(names=["f0"]))
    (tmp_path / "b.wav").write_bytes(b"")
    found = evaluate_speech(tmp_path, SpeechMetrics(names=["f0"]), originals=tmp_path)
    assert found.problems["unreadable"] == ["b"]


def test_text_information_is_a_function_of_units_and_texts(tmp_path):
    units = {name: Units.from_framewise(torch.arange(12) % 6, 50.0) for name in "abc"}
    train = {"a": units["a"]}
    test = {name: units[name] for name in "bc"}
    texts, config = {"a": "xy", "b": "yx", "c": "z"}, ProbeConfig(dim=4, hidden=4, steps=1)
    found = evaluate_text_information(train, test, texts, tmp_path, config)
    assert found.problems["symbols not in TRAIN"] == ["c"]
    assert [row["item"] for row in found.tables["text_information"]] == ["b"]
    # Of a single text the bound is log q(y | x) - log q(y | x).
    assert found.scores[0].interval.value == pytest.approx(0.0)
    with pytest.raises(ValueError, match="no recording in common"):
        evaluate_text_information(train, train, texts, tmp_path, config)


@pytest.mark.parametrize("temperatures", [[], [0.5, -0.1]])
def test_generation_needs_temperatures_of_at_least_zero(temperatures):
    assert GenerationTask(text_model="gpt2", temperatures=[0.0]).temperatures == [0.0]
    with pytest.raises(ValueError, match="`temperatures` must be numbers >= 0"):
        GenerationTask(text_model="gpt2", temperatures=temperatures)


def test_every_exported_name_is_there():
    for name in slmzoo.evaluation.__all__:
        assert getattr(slmzoo.evaluation, name) is not None
    with pytest.raises(AttributeError, match="unheard_of"):
        slmzoo.evaluation.unheard_of  # noqa: B018
