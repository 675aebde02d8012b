"""Continuation-BLEU2, and the choice and cutting of utterances, as GSLM's published code defines them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore import audio
from slmzoo.cli import main
from slmzoo.evaluation.report.results import items_of, read
from slmzoo.evaluation.report.statistics import Bootstrap, quantile
from slmzoo.evaluation.speech import generated
from slmzoo.evaluation.speech.continuations import chosen, continuation_bleu, read_continuations
from slmzoo.evaluation.speech.generated import GenerationTask

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


def bleu2(truth: list[str], samples: list[list[str]]) -> float:
    """Share of the truth's unigrams and bigrams that can be crossed out against the best single sample."""
    product = 1.0
    for n in (1, 2):
        own = [" ".join(truth[i : i + n]) for i in range(len(truth) - n + 1)]
        hits = 0
        for gram in set(own):
            times = [[" ".join(s[i : i + n]) for i in range(len(s) - n + 1)].count(gram) for s in samples]
            hits += min(own.count(gram), max(times))
        product *= hits / max(1, len(own))
    return math.sqrt(product)


def file_of(folder: Path, content: object) -> Path:
    path = folder / "ground_truth_continuation_dev.json"
    path.write_text(json.dumps(content))
    return path


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from("pqrst"), st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1))
def test_continuation_bleu_is_its_definition(known) -> None:
    texts = [
        (at, prompt, " ".join(s)) for at in ("0.7", "1") for prompt, (_, samples) in known.items() for s in samples
    ]
    truths = {prompt: " ".join(truth) for prompt, (truth, _) in known.items()}
    scores, rows = continuation_bleu(texts, truths, Bootstrap(resamples=5))
    wanted = [bleu2(truth, samples) for truth, samples in known.values()]
    found = {(s.metric, s.subset["temperature"]): (s.items, s.interval.value) for s in scores}
    for at in ("0.7", "1"):
        assert [row["value"] for row in rows if row["temperature"] == at] == pytest.approx(wanted)
        assert found["continuation_bleu2", at] == (len(known), pytest.approx(np.mean(wanted)))
        assert found["continuation_bleu2_median", at] == (len(known), pytest.approx(np.median(wanted)))


def test_continuation_bleu_by_hand() -> None:
    """Of "a b c d" three of four words and two of three pairs; one bigram from each of two samples; nothing heard."""
    texts = [("1", "p", "a b c"), ("1", "q", "a b"), ("1", "q", "b c x"), ("1", "r", "")]
    truths = {"p": "a b c d", "q": "a b c", "r": "a b"}
    scores, rows = continuation_bleu(texts, truths)
    assert [row["value"] for row in rows] == pytest.approx([math.sqrt(3 / 4 * 2 / 3), 1, 0])
    median = next(s for s in scores if s.metric == "continuation_bleu2_median")
    assert median.interval.value == pytest.approx(math.sqrt(0.5))
    assert (median.interval.low, median.interval.high) == (0, 1)
    assert {row["resampled_by"] for row in rows} == {"p", "q", "r"}


def test_quantiles_count_each_value_as_often_as_it_is_drawn() -> None:
    drawn = np.array([[1, 1, 1], [0, 3, 2], [0, 0, 0]], float)
    assert quantile([1, 2, 4], 0.5)(drawn).tolist() == pytest.approx([2, 2, math.nan], nan_ok=True)
    assert quantile([1, 2, 4], 0.9)(drawn).tolist() == pytest.approx([3.6, 4, math.nan], nan_ok=True)


def test_the_shortest_are_taken_of_all_entries(tmp_path) -> None:
    seconds = {"d": 9.0, "b": 7.5, "c": 7.5, "a": 6, "e": 12.0}
    known = read_continuations(file_of(tmp_path, {name: [s, name.upper()] for name, s in seconds.items()}))
    assert {name: (c.seconds, c.text) for name, c in known.items()} == {n: (s, n.upper()) for n, s in seconds.items()}
    prompts = [tmp_path / f"{name}.flac" for name in "edcb"]
    assert list(chosen(known, prompts, 1000)) == ["e", "d", "c", "b"]
    assert list(chosen(known, prompts, 4)) == ["d", "c", "b"]
    assert list(chosen(known, prompts, 2)) == ["b"]
    with pytest.raises(ValueError, match="among the 1 shortest continuations"):
        chosen(known, prompts, 1)
    with pytest.raises(ValueError, match="`shortest` must be a whole number >= 1"):
        chosen(known, prompts, 0)
    with pytest.raises(ValueError, match=r"entries of the file of continuations.*'x, y'"):
        chosen(known, [*prompts, tmp_path / "x.wav", tmp_path / "y.wav"])
    with pytest.raises(ValueError, match="among the 1000 shortest"):
        chosen(known, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "JSON object"),
        ({}, "JSON object"),
        ({"a": [6.0, "b"], "c": 7.0}, r"entry c. must be \[seconds, text\]"),
        ({"a": [6.0]}, r"entry a. must be \[seconds, text\]"),
        ({"a": [True, "b"]}, r"entry a. must be \[seconds, text\]"),
        ({"a": [6.0, None]}, r"entry a. must be \[seconds, text\]"),
        ({"a": [6.0, "b"], "c": [5.99, "d"]}, "entry c. must be at least 6 s long, but is '5.99 s'"),
        ({"a": [math.nan, "b"]}, "entry a. must be at least 6 s long"),
    ],
)
def test_damaged_files_are_refused_with_their_entry(tmp_path, content, reason) -> None:
    path = file_of(tmp_path, content)
    with pytest.raises(ValueError, match=reason) as raised:
        read_continuations(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_no_json_or_missing_is_refused(tmp_path) -> None:
    path = tmp_path / "truth.json"
    with pytest.raises(FileNotFoundError):
        read_continuations(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"truth\.json is no JSON.*ground_truth_continuation"):
        read_continuations(path)


def test_continuations_are_of_the_convention_of_gslm(tmp_path) -> None:
    with pytest.raises(ValueError, match="`convention` must be 'gslm' with a file of continuations"):
        GenerationTask(text_model="gpt2", continuations=tmp_path)
    assert GenerationTask(text_model="gpt2", continuations=tmp_path, convention="gslm").shortest == 1000


@pytest.fixture
def run(registry, tmp_path, speech, monkeypatch):
    """The command with true continuations of three prompts, and a recogniser that tells seconds of what it hears."""
    wav, rate = speech
    for name, first in (("a", 0), ("b", 16000), ("c", 8000)):
        audio.write(tmp_path / f"{name}.wav", wav[:, first : first + 8000], rate)
    (tmp_path / "text.txt").write_text("long long\nshort\n")
    truths = {"c": [9.5, "none"], "b": [7.0, "Long, long!"], "a": [6.0, "SHORT LONG LONG"]}
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    monkeypatch.setattr(generated, "hear", lambda paths, name, device: ["long long" for _ in paths])
    source = [
        "eval",
        "generation",
        "--zoo",
        "tiny",
        "--text-model",
        f"ngram:{tmp_path / 'text.txt'}",
        "--resamples",
        20,
    ]
    more = ["--max-new-units", 6, "--prompt-seconds", 0.3, "--convention", "gslm", "--temperatures", 1]
    truth = ["--continuations", file_of(tmp_path, truths), "--out", tmp_path / "out"]
    prompts = [tmp_path / f"{name}.wav" for name in "abc"]
    return lambda *changes: main([str(a) for a in [*source, *more, *truth, *prompts, *changes]])


def test_on_the_command_line_the_shortest_are_continued(run, tmp_path) -> None:
    assert run("--shortest", 2, "--num-samples", 2) == 0
    path = tmp_path / "out" / "generation.json"
    content = read(path)
    values = {row["item"]: float(row["value"]) for row in items_of(path, "continuation_bleu2")}
    assert values == {"1/a": pytest.approx(math.sqrt(2 / 3 * 1 / 2)), "1/b": 1}
    median = [s["value"] for s in content["scores"] if s["metric"] == "continuation_bleu2_median"]
    assert median == [pytest.approx((1 + math.sqrt(1 / 3)) / 2)]
    about = content["conventions"]
    assert (about["convention"], about["shortest"], about["prompts"]) == ("gslm", 2, 2)
    assert len(about["continuations"]) == 64
    assert len(list((tmp_path / "out" / "generated" / "1").glob("*.wav"))) == 4
    assert run("--shortest", 1, "--num-samples", 2) == 2


def test_speech_begins_with_its_prompt_and_is_cut_to_the_entry(tmp_path, pipeline, speech, monkeypatch) -> None:
    """A pipeline that says 8 s, of which 6 s and 6.5 s are kept, and a shorter one that is kept whole."""
    wav, rate = speech
    for name in "ab":
        audio.write(tmp_path / f"{name}.wav", wav[:, :8000], rate)
    (tmp_path / "text.txt").write_text("x\n")
    truths = file_of(tmp_path, {"a": [6, "x"], "b": [6.5, "y"]})
    task = GenerationTask(
        text_model=f"ngram:{tmp_path / 'text.txt'}",
        temperatures=[1.0, 2.0],
        convention="gslm",
        continuations=truths,
        max_new_units=4,
    )
    made, plain = [], pipeline.continue_speech

    def continued(*arguments, joined, temperature, **options):
        made.append(joined)
        (found,) = plain(*arguments, joined=joined, temperature=temperature, **options)
        length = (8 if temperature == 1 else 5) * found.speech.sample_rate
        found.speech.__dict__["wav"] = torch.zeros(1, length)
        return [found]

    monkeypatch.setattr(pipeline, "continue_speech", continued)
    monkeypatch.setattr(generated, "hear", lambda paths, name, device: ["x"] * len(paths))
    prompts = [tmp_path / "a.wav", tmp_path / "b.wav"]
    generated.evaluate_generation(pipeline, task, tmp_path / "wavs", prompts, score=lambda _: (1.0, 1))
    assert made == [True] * 4
    lengths = [
        w.shape[1] / r for at in "12" for p in sorted((tmp_path / "wavs" / at).iterdir()) for w, r in [audio.read(p)]
    ]
    assert lengths == pytest.approx([6, 6.5, 5, 5])
