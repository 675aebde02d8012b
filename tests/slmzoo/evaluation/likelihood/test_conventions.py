"""Likelihoods by every convention equal a forward pass, one sequence at a time, and do not depend on the batch."""

from __future__ import annotations

import random

import pytest
import torch

from mistral_ulm import UnitLM, UnitTokenizer
from slmcore.language import scoring
from slmcore.layers.transformer import TransformerConfig
from slmcore.units import Units
from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention, loglikelihoods, usual_convention
from slmzoo.evaluation.likelihood.pairs import Pair, accuracy
from twist import TwistLM, TwistLMConfig

K = 30
TINY = {
    "architecture": "llama", "vocab_size": K + 3, "dim": 16, "layers": 1, "heads": 2, "kv_heads": 2, "head_dim": 8,
    "hidden_dim": 16, "longest": 64, "num_units": K, "offset": 2, "attention_bias": False,
}  # fmt: skip
EVERY = [Convention(reduction=r, bos=b, eos=e) for r in ("sum", "mean") for b in (True, False) for e in (True, False)]


@pytest.fixture(scope="module")
def model() -> UnitLM:
    torch.manual_seed(0)
    config = TransformerConfig(dim=32, n_layers=2, head_dim=8, hidden_dim=64, n_heads=4, n_kv_heads=2, vocab_size=K + 1)
    return UnitLM(config).eval()


def some(n: int, seed: int = 0) -> list[torch.Tensor]:
    draw = random.Random(seed)
    return [torch.tensor([draw.randrange(K) for _ in range(draw.randint(2, 40))]) for _ in range(n)]


@torch.inference_mode()
def by_hand(model: UnitLM, units: list[int], convention: Convention) -> float:
    """Unit u is id u + 1, 0 begins and ends; each id is scored by a pass over what is before it."""
    ids = [u + 1 for u in units]
    ids = ([0] if convention.bos else []) + ids + ([0] if convention.eos else [])
    terms = [model(torch.tensor(ids[:i]), [i])[-1].double().log_softmax(-1)[ids[i]].item() for i in range(1, len(ids))]
    return sum(terms) / (len(terms) if convention.reduction == "mean" else 1)


@pytest.mark.parametrize("convention", EVERY, ids=lambda c: f"{c.reduction}-bos{c.bos}-eos{c.eos}")
def test_a_convention_is_what_it_says(model, convention):
    sequences = some(4)
    found = loglikelihoods(model, sequences, convention)
    assert found == pytest.approx([by_hand(model, s.tolist(), convention) for s in sequences], abs=1e-4)


def test_presets_are_those_of_the_systems(model):
    presets = {name: (p.reduction, p.bos, p.eos) for name, p in PRESETS.items()}
    assert presets == {
        "dpslm": ("sum", True, False),
        "zerosyl": ("sum", True, False),
        "slamkit": ("mean", None, None),
        "twist": ("mean", False, False),
        "salmon": ("mean", False, False),
    }
    assert PRESETS["zerosyl"].describe(model)["same_as"] == ["dpslm", "zerosyl"]
    assert PRESETS["twist"].describe(model)["same_as"] == ["twist", "salmon"]
    assert PRESETS["slamkit"].describe(model) == {
        "reduction": "mean", "bos": True, "eos": True, "deduplicated": True, "same_as": ["slamkit"],
    }  # fmt: skip
    assert Convention(reduction="mean").describe(model)["same_as"] == []
    assert usual_convention(model) == "dpslm"


@pytest.mark.parametrize("name", ["twist", "salmon", "slamkit"])
def test_presets_of_twist_ask_for_no_beginning_where_the_model_has_none(name):
    twist = TwistLM(TwistLMConfig(**TINY)).eval()
    assert usual_convention(twist) == "twist"
    sequences = some(3)
    found = loglikelihoods(twist, sequences, PRESETS[name])
    assert found == [float(x.double().mean()) for x in twist.logprobs(sequences, bos=False)]
    assert PRESETS[name].describe(twist)["same_as"] == ["slamkit", "twist", "salmon"]
    with pytest.raises(ValueError, match="`bos` must be False"):
        loglikelihoods(twist, sequences, PRESETS["dpslm"])


def test_slamkits_models_score_beginning_and_end():
    slam = TwistLM(TwistLMConfig(**{**TINY, "bos": 1, "eos": 1})).eval()
    assert usual_convention(slam) == "slamkit"
    sequences = some(3)
    found = loglikelihoods(slam, sequences, PRESETS["slamkit"])
    assert found == [float(x.double().mean()) for x in slam.logprobs(sequences, bos=True, eos=True)]
    assert [len(x) for x in slam.logprobs(sequences, bos=True, eos=True)] == [len(s) + 1 for s in sequences]
    ends = TwistLM(TwistLMConfig(**{**TINY, "eos": 1})).eval()
    assert PRESETS["slamkit"].of(ends) == PRESETS["twist"]


def test_the_default_is_the_likelihood_of_the_model_itself(model):
    tokenizer = UnitTokenizer(K)
    sequences = some(20)
    found = loglikelihoods(model, sequences, PRESETS["dpslm"])
    assert found == model.loglikelihoods([tokenizer.encode(s) for s in sequences])


@pytest.mark.parametrize("convention", EVERY[:3], ids=str)
def test_scores_do_not_depend_on_batch_size_or_order(model, convention, monkeypatch):
    sequences = some(60, seed=1)
    first = loglikelihoods(model, sequences, convention)
    order = random.Random(2).sample(range(60), 60)
    again = loglikelihoods(model, [sequences[i] for i in order], convention)
    assert again == pytest.approx([first[i] for i in order], abs=1e-4)
    for budget in (1, 97, 100_000):
        monkeypatch.setattr(scoring, "TOKENS_AT_ONCE", {"cpu": budget})
        assert loglikelihoods(model, sequences, convention) == pytest.approx(first, abs=1e-4)


@pytest.mark.parametrize("convention", EVERY, ids=str)
def test_a_tie_in_units_is_a_tie_in_scores(model, convention):
    """To the last bit, wherever a batch is cut: a pair of homophones counts half."""
    sequences = [each for one in some(300, seed=3) for each in (one, one.clone())]
    found = loglikelihoods(model, sequences, convention)
    assert found[::2] == found[1::2]
    pairs = [Pair(item=str(i), positive=str(2 * i), negative=str(2 * i + 1)) for i in range(300)]
    rows = accuracy(pairs, {str(i): value for i, value in enumerate(found)})
    assert {row["value"] for row in rows} == {0.5}


def test_units_and_their_tensors_score_alike(model):
    units = Units(torch.tensor([3, 4, 5]), torch.tensor([1, 9, 2]), 50.0)
    both = loglikelihoods(model, [units, units.units], PRESETS["dpslm"])
    assert both[0] == both[1]


def test_nothing_to_score_is_refused(model):
    single = [torch.tensor([3])]
    assert len(loglikelihoods(model, single, PRESETS["dpslm"])) == 1
    assert [PRESETS[name].scores(1) for name in ("dpslm", "twist")] == [True, False]
    with pytest.raises(ValueError, match="at least two without BOS"):
        loglikelihoods(model, single, PRESETS["twist"])
    with pytest.raises(ValueError, match="reduction"):
        Convention(reduction="max")  # pyright: ignore[reportArgumentType]
