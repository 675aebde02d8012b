from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from mistral_ulm import PhonemeTokenizer, UnitLM, UnitTokenizer
from slmcore.errors import CheckpointError
from slmcore.layers.transformer import TransformerConfig
from slmcore.units import Units

K = 12


@pytest.fixture(scope="module")
def ulm() -> UnitLM:
    torch.manual_seed(1)
    config = TransformerConfig(
        dim=16, n_layers=2, head_dim=8, hidden_dim=24, n_heads=2, n_kv_heads=1, vocab_size=K + 1, dropout=0.1
    )
    return UnitLM(config).double().eval()


@torch.no_grad()
def plain_loglikelihood(ulm: UnitLM, ids: torch.Tensor) -> float:
    logprobs = ulm.transformer(ids[None])[0].log_softmax(-1)
    return sum(float(logprobs[t, ids[t + 1]]) for t in range(len(ids) - 1))


def test_loglikelihoods_do_not_depend_on_the_batch(ulm):
    tokenizer = UnitTokenizer(K)
    lengths = torch.randint(1, 60, (150,)).tolist()
    ids = [tokenizer.encode(torch.randint(0, K, (n,))) for n in lengths]
    expected = [plain_loglikelihood(ulm, x) for x in ids]
    assert ulm.loglikelihoods(ids) == pytest.approx(expected, rel=1e-9)
    assert ulm.loglikelihoods(ids[::-1])[::-1] == pytest.approx(expected, rel=1e-9)
    assert [ulm.loglikelihood(x) for x in ids[:5]] == pytest.approx(expected[:5], rel=1e-9)
    means = [e / n for e, n in zip(expected, lengths, strict=True)]
    assert ulm.loglikelihoods(ids, reduction="mean") == pytest.approx(means, rel=1e-9)
    per_token = ulm.loglikelihoods(ids, per_token=True)
    assert [float(x.sum()) for x in per_token] == pytest.approx(expected, rel=1e-9)
    assert [len(x) for x in per_token] == lengths
    assert ulm.loglikelihoods([]) == []


def test_generation_does_not_depend_on_the_batch(ulm):
    prompts = [[1, 2, 3], [], [4], [7, 7, 1, 0, 2, 5]]
    together = ulm.generate(prompts, 30, temperature=0.9, top_p=0.95, seed=5)
    for n in range(1, 4):
        first = ulm.generate(prompts[:n], 30, temperature=0.9, top_p=0.95, seed=5)
        assert all(torch.equal(a, b) for a, b in zip(first.units, together.units, strict=False))
    other = ulm.generate(prompts, 30, temperature=0.9, top_p=0.95, seed=6)
    assert any(not torch.equal(a, b) for a, b in zip(other.units, together.units, strict=True))


def test_generated_log_probs_are_those_of_scoring(ulm):
    prompt = [3, 1, 4]
    out = ulm.generate([prompt], 20, seed=2, num_samples=3, min_new_units=4)
    assert len(out.units) == 3
    for units, log_probs in zip(out.units, out.log_probs, strict=True):
        ids = UnitTokenizer(K).encode([*prompt, *units.tolist()])
        scored = ulm.loglikelihoods([ids], per_token=True)[0]
        torch.testing.assert_close(log_probs.double(), scored[len(prompt) :].double(), atol=1e-5, rtol=1e-5)


def test_greedy_generation_equals_whole_passes(ulm):
    prompt = [5, 2]
    out = ulm.generate([prompt], 25, temperature=0, min_new_units=25)
    ids = UnitTokenizer(K).encode(prompt)
    for unit in out.units[0].tolist():
        logits = ulm.transformer(ids[None])[0, -1]
        logits[0] = -torch.inf
        assert unit == int(logits.argmax()) - 1
        ids = torch.cat([ids, torch.tensor([unit + 1])])
    assert not out.finished[0]


def test_an_utterance_ends_at_bos_and_not_too_early(ulm):
    out = ulm.generate([[1]], 400, seed=1, num_samples=20, min_new_units=3)
    assert all(out.finished)
    assert min(len(u) for u in out.units) >= 3
    assert {int(u.min()) for u in out.units} >= {0}
    assert len({len(u) for u in out.units}) > 3


def test_repetition_penalty_lowers_repeats(ulm):
    def distinct(penalty: float) -> float:
        out = ulm.generate([[]], 12, seed=3, num_samples=50, min_new_units=12, repetition_penalty=penalty)
        return sum(len(set(u.tolist())) for u in out.units) / 50

    assert distinct(50.0) > distinct(1.0) + 0.5


@pytest.mark.parametrize("penalty", [1e-6, 1e6])
def test_the_most_extreme_penalties_leave_probabilities(ulm, penalty):
    model = copy.deepcopy(ulm).float()
    (log_probs,) = model.generate(
        [[1, 2]], 12, temperature=1e-20, min_new_units=12, repetition_penalty=penalty
    ).log_probs
    assert torch.isfinite(log_probs).all()


def test_prompts_may_be_units(ulm):
    units = Units(torch.tensor([1, 2]), torch.tensor([3, 1]), 50.0)
    assert torch.equal(ulm.generate([units], 9, seed=1).units[0], ulm.generate([[1, 2]], 9, seed=1).units[0])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": [[K]]}, "units"),
        ({"max_new_units": 0}, "max_new_units"),
        ({"max_new_units": 3, "min_new_units": 4}, "max_new_units"),
        ({"min_new_units": -1}, "min_new_units"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"num_samples": 0}, "num_samples"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"repetition_penalty": 1e-45}, "repetition_penalty"),
        ({"repetition_penalty": 1e39}, "repetition_penalty"),
        ({"repetition_penalty": float("nan")}, "repetition_penalty"),
    ],
)
def test_generate_refuses(ulm, changes, match):
    with pytest.raises(ValueError, match=match):
        ulm.generate(**{"prompts": [[1]], "max_new_units": 5, **changes})


@pytest.mark.parametrize("ids", [[1, 2], [0], [], [0, K + 1], [0, -1], [[0, 1]]])
def test_loglikelihood_refuses_ids(ulm, ids):
    with pytest.raises(ValueError, match="ids"):
        ulm.loglikelihood(torch.tensor(ids, dtype=torch.int64))


def test_loglikelihood_refuses_other_types(ulm):
    for ids in ([0, 1], torch.tensor([0.0, 1.0])):
        with pytest.raises(TypeError, match="int64"):
            ulm.loglikelihood(ids)
    with pytest.raises(ValueError, match="reduction"):
        ulm.loglikelihoods([torch.tensor([0, 1])], reduction="max")


def test_unit_tokenizer():
    tokenizer = UnitTokenizer(K)
    assert tokenizer.encode([3, 0]).tolist() == [0, 4, 1]
    assert tokenizer.decode([0, 4, 1]) == [3, 0]
    for bad in ([], [K], [-1], [[1]]):
        with pytest.raises(ValueError, match="units"):
            tokenizer.encode(bad)
    with pytest.raises(TypeError, match="whole numbers"):
        tokenizer.encode([0.5])


def test_phoneme_tokenizer(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"phoneme_to_id": {"AA": 2, "B": 3}, "delimiter": "|"}))
    tokenizer = PhonemeTokenizer.from_file(path)
    assert tokenizer.encode("|AA|B|XX|").tolist() == [0, 2, 3, 1]
    assert tokenizer.encode(["B"]).tolist() == [0, 3]
    assert tokenizer.decode([0, 2, 3, 1]) == "AA|B|UNK"
    assert tokenizer.vocab_size == 4
    with pytest.raises(ValueError, match="phoneme"):
        tokenizer.encode("")
    path.write_text("[]")
    with pytest.raises(CheckpointError, match="tokenizer"):
        PhonemeTokenizer.from_file(path)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.int64])
def test_narrow_integers_do_not_wrap_around(dtype):
    largest = min(torch.iinfo(dtype).max, 70000)
    tokenizer = UnitTokenizer(largest + 1)
    ids = tokenizer.encode(torch.tensor([3, largest, 7], dtype=dtype))
    assert (ids.tolist(), ids.dtype) == ([0, 4, largest + 1, 8], torch.int64)
    if dtype != torch.uint16:  # torch cannot make a numpy array's type of it in all versions
        numbers = np.array([3, largest, 7], dtype=str(dtype).removeprefix("torch."))
        assert tokenizer.encode(numbers).tolist() == ids.tolist()
    with pytest.raises(ValueError, match=r"0\.\.3"):
        UnitTokenizer(4).encode(torch.tensor([3, largest], dtype=dtype))


def test_equal_sequences_are_equally_likely_to_the_last_bit():
    """In float32 a batch moves a value by rounding: what is equal must not be told apart by where it was cut."""
    torch.manual_seed(2)
    sizes = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 48, "n_heads": 4, "n_kv_heads": 2}
    ulm = UnitLM(TransformerConfig(vocab_size=K + 1, **sizes)).eval()
    sequences = [torch.randint(0, K, (n,)) for n in torch.randint(1, 60, (200,)).tolist()]
    ids = [UnitTokenizer(K).encode(s) for s in sequences for _ in range(2)]
    values = ulm.loglikelihoods(ids)
    assert values[::2] == values[1::2]
    assert ulm.loglikelihoods(ids[::2]) == pytest.approx(values[::2], abs=1e-4)
    first, second = ulm.loglikelihoods([ids[0], ids[1]], per_token=True)
    first.zero_()
    assert float(second.sum()) == pytest.approx(values[0], abs=1e-4)


def test_seventy_samples_are_seventy_numbers(ulm):
    """More sequences than are decoded at once draw numbers of their own."""
    options = {"max_new_units": 30, "min_new_units": 30, "seed": 4}
    made = ulm.generate([[1]] * 70, **options).units
    assert len({tuple(units.tolist()) for units in made}) == 70
    some = ulm.generate([[1]] * 64, **options).units
    assert all(torch.equal(a, b) for a, b in zip(some, made, strict=False))
    samples = ulm.generate([[1]], num_samples=70, **options).units
    assert all(torch.equal(a, b) for a, b in zip(samples, made, strict=True))


def test_numbers_of_numpy_are_numbers(ulm):
    plain = ulm.generate([[1, 2]], 9, num_samples=2, min_new_units=3, seed=3)
    numbers = {"num_samples": np.int32(2), "min_new_units": np.uint8(3), "seed": np.int64(3)}
    made = ulm.generate([np.array([1, 2])], np.int64(9), **numbers)
    assert all(torch.equal(a, b) for a, b in zip(made.units, plain.units, strict=True))


@pytest.mark.parametrize("prompts", [[1, 2, 3], [np.int64(1)], torch.tensor([1, 2]), ["abc"], "abc", [[1], 2]])
def test_prompts_that_are_no_lists_of_units_are_named(ulm, prompts):
    with pytest.raises(ValueError, match=r"`prompts` must be a list of sequences.*`\[prompt\]`"):
        ulm.generate(prompts, 5)


@pytest.mark.parametrize("units", ["abc", ["a"], [1, None], [[1], [2, 3]], [0.5], [True], [1j]])
def test_units_that_are_no_numbers_are_named(units):
    with pytest.raises(TypeError, match=r"`units` must be .*whole numbers"):
        UnitTokenizer(K).encode(units)
