"""Diversity and perplexity equal their definitions, and generated speech is scored at each temperature."""

from __future__ import annotations

import json
import math
import shutil
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore import audio
from slmcore.files.digests import sha256_of
from slmzoo.cli import main
from slmzoo.commands.evaluate import generation as command
from slmzoo.evaluation.report.results import items_of, read
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.report.tradeoff import area, crossing
from slmzoo.evaluation.speech import generated
from slmzoo.evaluation.speech.diversity import auto_bleu, self_bleus, vert
from slmzoo.evaluation.speech.generation import Utterance, evaluate
from slmzoo.evaluation.speech.textmodels import NGram, text_model

WORDS = st.lists(st.sampled_from("abc"), max_size=12)


def grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def averaged(shares: list[float], mean: str) -> float:
    return math.prod(shares) ** (1 / len(shares)) if mean == "geometric" else sum(shares) / len(shares)


def auto_bleu_by_definition(words: list[str], order: int, mean: str = "geometric") -> float:
    """Cut each n-gram out and look for it in what is left on either side."""
    if len(words) < 2:
        return 0.0
    shares = []
    for n in range(1, order + 1):
        hits = [gram in grams(words[:i], n) + grams(words[i + n :], n) for i, gram in enumerate(grams(words, n))]
        shares.append(sum(hits) / max(1, len(hits)))
    return averaged(shares, mean)


def bleu_by_definition(words: list[str], others: list[list[str]], order: int, mean: str = "geometric") -> float:
    shares = []
    for n in range(1, order + 1):
        own = grams(words, n)
        kept = [min(own.count(g), max((grams(other, n).count(g) for other in others), default=0)) for g in set(own)]
        shares.append(sum(kept) / max(1, len(own)))
    return averaged(shares, mean)


@settings(deadline=None, max_examples=60)
@given(WORDS, st.integers(1, 3), st.sampled_from(["geometric", "arithmetic"]))
def test_auto_bleu_is_its_definition(words, order, mean):
    assert auto_bleu(words, order, mean) == pytest.approx(auto_bleu_by_definition(words, order, mean))


@settings(deadline=None, max_examples=60)
@given(st.lists(WORDS, max_size=6), st.integers(1, 3), st.sampled_from(["geometric", "arithmetic"]))
def test_self_bleu_is_its_definition(texts, order, mean):
    expected = [bleu_by_definition(t, texts[:i] + texts[i + 1 :], order, mean) for i, t in enumerate(texts)]
    assert self_bleus(texts, order, mean) == pytest.approx(expected)


def test_known_cases():
    assert auto_bleu(["the", "cat", "the", "cat", "the", "cat"]) == 1
    assert auto_bleu(["one", "two", "three"]) == 0
    assert self_bleus([["a", "b", "c"]] * 3) == pytest.approx([1, 1, 1])
    assert self_bleus([["a", "b"], ["c", "d"]]) == [0, 0]
    halved = [["a", "b"], ["b", "a"]]  # all words, no pair
    assert (self_bleus(halved), self_bleus(halved, 2, "arithmetic")) == ([0, 0], [0.5, 0.5])
    assert auto_bleu(["a", "b", "a"], 2, "arithmetic") == pytest.approx((2 / 3 + 0) / 2)
    assert vert(0.25, 0.16) == pytest.approx(0.2)


def test_probabilities_of_all_words_sum_to_one():
    model = NGram([["a", "b", "a"], ["b", "c"], ["a", "b", "c", "c"]])
    words = ["a", "b", "c", "</s>", "<unk>"]
    for history in [(), *product([*words, "<s>"], repeat=2)]:
        assert sum(model.probability(w, history) for w in words) == pytest.approx(1)


def test_witten_bell_by_hand():
    """One sentence "a": after nothing, "a" and the end were seen once each, of 3 words with the unknown one."""
    model = NGram([["a"]], order=1)
    assert model.probability("a", ()) == pytest.approx((1 + 2 / 3) / 4)
    nll, tokens = model("a b")
    assert (nll, tokens) == (pytest.approx(-math.log((5 / 12) * (1 / 6) * (5 / 12))), 3)


def test_what_was_seen_is_likelier(tmp_path):
    (tmp_path / "text.txt").write_text("the dog sleeps\nthe cat sleeps\n\n")
    model = text_model(f"ngram:{tmp_path / 'text.txt'}")
    assert model("the dog sleeps")[0] < model("sleeps dog the")[0] < model("qqq www eee rrr")[0]
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ValueError, match="at least one sentence"):
        text_model(f"ngram:{tmp_path / 'empty.txt'}")
    with pytest.raises(FileNotFoundError):
        text_model(f"ngram:{tmp_path / 'nowhere.txt'}")


def test_a_model_of_transformers_scores_every_token(tmp_path):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<s>": 0, "<unk>": 1, "the": 2, "dog": 3, "sleeps": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")
    wrapped.save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=5, n_embd=16, n_layer=1, n_head=2, n_positions=16, bos_token_id=0)
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    nll, tokens = text_model(str(tmp_path))("the dog sleeps")
    with torch.no_grad():
        logits = model(torch.tensor([[0, 2, 3, 4]])).logits[0].double().log_softmax(-1)
    assert tokens == 3
    assert nll == pytest.approx(-sum(logits[i, w].item() for i, w in enumerate([2, 3, 4])), abs=1e-4)
    assert text_model(str(tmp_path))("") == (0.0, 0)


def test_each_temperature_has_its_scores():
    transcripts = ["a b a b", "a b", "", "c d e"]
    spoken = [Utterance(item=str(i), temperature=t, text=s) for t in ("0.5", "1") for i, s in enumerate(transcripts)]
    model = NGram([["a", "b"], ["c"]])
    scores, tables = evaluate(spoken, model, bootstrap=Bootstrap(resamples=50))
    found = {(s.metric, s.subset.get("temperature")): s.interval.value for s in scores}
    nonempty = [s for s in transcripts if s]
    scored = [model(s) for s in nonempty]
    own = [auto_bleu(s.split()) for s in nonempty]
    other = self_bleus([s.split() for s in nonempty])
    for at in ("0.5", "1"):
        assert found["perplexity", at] == pytest.approx(math.exp(sum(n for n, _ in scored) / sum(t for _, t in scored)))
        assert math.log(found["perplexity", at]) == pytest.approx(found["log_perplexity", at])
        assert found["auto_bleu", at] == pytest.approx(sum(own) / 3)
        assert found["vert", at] == pytest.approx(vert(sum(own) / 3, sum(other) / 3))
        assert found["heard", at] == 0.75
    assert [row["item"] for row in tables["heard"]] == [f"{t}/{i}" for t in ("0.5", "1") for i in range(4)]


def test_the_convention_of_gslm_averages_over_texts():
    """By the example of (NLL, tokens) (6, 2), (10, 10), (3, 6) and a silent text, which counts in the BLEUs."""
    likelihoods = {"a b": (6.0, 2), "a c a b d": (10.0, 10), "b": (3.0, 6)}
    transcripts = [*likelihoods, ""]
    spoken = [Utterance(item=str(i), temperature=t, text=s) for t in ("0.5", "1") for i, s in enumerate(transcripts)]
    found = {}
    for convention in ("slmzoo", "gslm"):
        scores, tables = evaluate(spoken, likelihoods.__getitem__, 2, Bootstrap(resamples=50), convention)
        found[convention] = {(s.metric, s.subset.get("temperature")): s.interval for s in scores}
        assert len(tables["self_bleu"]) == len(tables["auto_bleu"]) == 2 * (4 if convention == "gslm" else 3)
    ours, theirs = found["slmzoo"], found["gslm"]
    each = sorted(math.exp(nll / tokens) for nll, tokens in likelihoods.values())
    assert ours["perplexity", "1"].value == pytest.approx(2.87, abs=0.01)
    assert theirs["perplexity", "1"].value == pytest.approx(8.15, abs=0.01) == pytest.approx(sum(each) / 3, abs=0.01)
    assert theirs["perplexity_median", "0.5"].value == pytest.approx(each[1])
    assert theirs["perplexity_p10", "1"].value == pytest.approx(each[0] + 0.2 * (each[1] - each[0]))
    assert theirs["perplexity_p90", "1"].value == pytest.approx(each[1] + 0.8 * (each[2] - each[1]))
    assert theirs["log_perplexity", "1"].value == pytest.approx((3 + 1 + 0.5) / 3)
    for name in ("auto_bleu", "self_bleu", "vert"):
        assert theirs[name, "1"].value == pytest.approx(ours[name, "1"].value * 3 / 4)
    shares = [0, auto_bleu(["a", "c", "a", "b", "d"], 2, "arithmetic"), 0, 0]
    assert theirs["auto_bleu_arithmetic", "1"].value == pytest.approx(sum(shares) / 4)
    others = self_bleus([text.split() for text in transcripts], 2, "arithmetic")
    assert theirs["self_bleu_arithmetic", "0.5"].value == pytest.approx(sum(others) / 4) != 0
    assert ("self_bleu_arithmetic", "1") not in ours
    assert theirs["heard", "1"] == ours["heard", "1"]
    assert ("perplexity_median", "1") not in ours
    assert theirs["perplexity_vert_auc", None].value == 0
    with pytest.raises(ValueError, match="`convention` must be one of slmzoo, gslm"):
        evaluate(spoken, likelihoods.__getitem__, convention="fairseq")  # pyright: ignore[reportArgumentType]


def test_quantiles_of_perplexity_are_drawn_with_their_prompts():
    texts = {"a": 1.0, "b": 2.0, "c": 4.0}
    spoken = [Utterance(item=f"{t}{i}", prompt=t, temperature="1", text=t) for t in texts for i in range(2)]
    scores, _ = evaluate(spoken, lambda t: (math.log(texts[t]), 1), 1, Bootstrap(resamples=500), "gslm")
    found = {s.metric: (s.items, s.interval) for s in scores}
    items, median = found["perplexity_median"]
    assert (items, median.low, median.value, median.high) == (3, pytest.approx(1), pytest.approx(2), pytest.approx(4))


def test_what_one_prompt_gave_is_drawn_together():
    """Each prompt four times the same text: no more certain than once."""
    transcripts = ["a b", "c", "a a a", "b c b c", "c c"]
    model, bootstrap = NGram([["a", "b"], ["c"]]), Bootstrap(resamples=2000)
    found: dict[int, dict] = {}
    for copies in (1, 4):
        spoken = [
            Utterance(item=f"{p}-{i}", prompt=str(p), temperature="1", text=text)
            for p, text in enumerate(transcripts)
            for i in range(copies)
        ]
        scores, tables = evaluate(spoken, model, bootstrap=bootstrap)
        assert {row["resampled_by"] for row in tables["self_bleu"]} == set("01234")
        found[copies] = {s.metric: (s.items, s.interval.low, s.interval.high) for s in scores}
    for metric in ("log_perplexity", "perplexity", "auto_bleu"):
        assert found[4][metric] == pytest.approx(found[1][metric])
    assert found[4]["self_bleu"][0] == found[4]["vert"][0] == 5


def test_the_area_by_hand():
    """From (10, 0.8) over (20, 0.4) to (40, 0.2): 10 x 0.6 + 20 x 0.3, in any order and without what is not known."""
    assert area([10, 20, 40], [0.8, 0.4, 0.2]) == pytest.approx(12)
    assert area([40, math.nan, 10, 20], [0.2, 0.5, 0.8, 0.4]) == pytest.approx(12)
    assert math.isnan(area([10], [0.8]))


def test_where_the_curve_meets_the_original_by_hand():
    perplexities, verts = [10, 20, 40], [0.8, 0.4, 0.2]
    assert crossing(verts, perplexities, 0.3) == pytest.approx(30)
    assert crossing(perplexities, verts, 15) == pytest.approx(0.6)
    assert crossing(perplexities, verts, 40) == pytest.approx(0.2)
    assert math.isnan(crossing(perplexities, verts, 41))
    assert crossing([10, 30, 10], [1, 2, 3], 20) == pytest.approx(1.5)  # the colder one
    assert crossing([10, 10], [1, 2], 10) == 1
    assert all(math.isnan(crossing([10][:n], [1][:n], 10)) for n in (0, 1))


def test_the_tradeoff_is_that_of_the_temperatures():
    transcripts = {
        "0.5": ["a b a b", "a b a b"],
        "1": ["a b c a", "b a b"],
        "2": ["c d c", "e a e b"],
        "original": ["a b a", "b a b b"],
    }
    spoken = [
        Utterance(item=f"{p}", prompt=f"p{p}", temperature=at, text=text)
        for at in ("2", "original", "1", "0.5")
        for p, text in enumerate(transcripts[at])
    ]
    scores, _ = evaluate(spoken, NGram([["a", "b"], ["b", "a"], ["c"]]), bootstrap=Bootstrap(resamples=50))
    found = {(s.metric, s.subset.get("temperature")): s for s in scores}
    curve = [[found[m, at].interval.value for at in ("0.5", "1", "2")] for m in ("perplexity", "vert")]
    auc = found["perplexity_vert_auc", None]
    assert (auc.items, auc.interval.value) == (2, pytest.approx(area(*curve)))
    assert auc.interval.low <= auc.interval.value <= auc.interval.high
    wanted = crossing(curve[1], curve[0], found["vert", "original"].interval.value)
    assert found["perplexity_at_original_vert", None].interval.value == pytest.approx(wanted, nan_ok=True)


def test_silence_has_no_perplexity():
    scores, _ = evaluate([Utterance(item="0", temperature="1", text="")], NGram([["a"]]))
    found = {s.metric: (s.interval.value, s.items) for s in scores}
    assert found == {"heard": (0.0, 1), "perplexity": (None, 0), "vert": (None, 0)}


@pytest.fixture
def run(registry, tmp_path, speech, monkeypatch):
    """The command on two prompts, with a recogniser that tells the length of what it hears."""
    wav, rate = speech
    for name, first in (("a", 0), ("b", 16000)):
        audio.write(tmp_path / f"{name}.wav", wav[:, first : first + 8000], rate)
    (tmp_path / "text.txt").write_text("long long\nshort\n")
    monkeypatch.setenv("SLMZOO_REGISTRY", str(registry))
    listened: list[Path] = []

    def hear(paths, name, device):
        assert device == ("cuda" if torch.cuda.is_available() else "cpu")
        listened.extend(paths)
        return ["Long, long" if audio.read(p)[0].shape[1] > 4000 else "short" for p in paths]

    monkeypatch.setattr(generated, "hear", hear)

    def call(*more: object) -> int:
        arguments = ["eval", "generation", "--zoo", "tiny", "--out", tmp_path / "out", "--max-new-units", 6]
        arguments += ["--text-model", f"ngram:{tmp_path / 'text.txt'}", "--resamples", 20, "--prompt-seconds", 0.3]
        return main([str(a) for a in [*arguments, *more]])

    call.listened = listened
    return call


@pytest.mark.parametrize("package", ["jiwer", "pocketsphinx"])
def test_without_a_package_nothing_is_generated(run, tmp_path, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert run(tmp_path / "a.wav", "--temperatures", 1) == 1
    assert f"needs the package {package}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_generation_on_the_command_line(run, tmp_path, monkeypatch):
    arguments = [tmp_path / "a.wav", tmp_path / "b.wav", "--temperatures", 0.5, 1, "--num-samples", 2]
    assert run(*arguments) == 0
    content = read(tmp_path / "out" / "generation.json")
    at = {s["subset"].get("temperature") for s in content["scores"]}
    assert at == {"0.5", "1", "original", None}
    whole = {s["metric"] for s in content["scores"] if not s["subset"]}
    assert whole == {"perplexity_vert_auc", "perplexity_at_original_vert", "vert_at_original_perplexity"}
    assert len(items_of(tmp_path / "out" / "generation.json", "heard")) == 2 * 2 * 2 + 2
    assert content["conventions"]["asr"] == "pocketsphinx"
    assert content["conventions"]["convention"] == "slmzoo"
    models = {"wavlm", "codebook", "ulm", "ellav", "wavtokenizer", "asr", "text_model"}
    assert set(content["models"]) == models
    assert content["models"]["text_model"]["sha256"] == sha256_of(tmp_path / "text.txt")
    before = (tmp_path / "out" / "generation.json").read_bytes()
    removed = tmp_path / "out" / "generated" / "1" / "0001-b-0.wav"
    kept = removed.read_bytes()
    removed.unlink()
    assert run(*arguments) == 0
    assert removed.read_bytes() == kept
    assert (tmp_path / "out" / "generation.json").read_bytes() == before
    assert run(*arguments, "--convention", "gslm") == 0
    content = read(tmp_path / "out" / "generation.json")
    assert content["conventions"]["convention"] == "gslm"
    assert {"perplexity_median", "perplexity_p10", "perplexity_p90"} <= {s["metric"] for s in content["scores"]}
    assert run(*arguments, "--seed", 5) == 2


def test_prompts_of_one_name_are_refused_before_any_work(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "more").mkdir()
    shutil.copy(tmp_path / "a.wav", tmp_path / "more" / "a.wav")
    monkeypatch.setattr(command, "text_model", lambda *_: pytest.fail("worked before it looked"))
    assert run(tmp_path / "a.wav", tmp_path / "more" / "a.wav") == 2
    errors = capsys.readouterr().err
    assert str(tmp_path / "a.wav") in errors
    assert str(tmp_path / "more" / "a.wav") in errors


def test_every_model_is_where_the_command_computes(run, tmp_path, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(command, "text_model", lambda _, device: asked.append(device) or NGram([["a"]]))
    assert run("--temperatures", 1) == 0
    assert asked == ["cuda" if torch.cuda.is_available() else "cpu"]


def test_generation_from_nothing(run, tmp_path):
    assert run("--temperatures", 1, "--num-samples", 3) == 0
    content = json.loads((tmp_path / "out" / "generation.json").read_text())
    assert {s["subset"]["temperature"] for s in content["scores"]} == {"1"}
    assert content["conventions"]["prompts"] == 0
    assert run("--temperatures", "-1") == 2
