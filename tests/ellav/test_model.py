from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ellav import EllaV, EllaVTokenizer
from ellav.tokenizer import BOS, EOP, EOS
from slmcore.errors import CheckpointError
from slmcore.layers.transformer import TransformerConfig
from tests.reference.ellav_loop import generate_of_lengths, generate_one

K, CODES = 6, 9
TOKENIZER = EllaVTokenizer.for_units(K, CODES, 50, 40)


def tiny(seed: int = 0, eop: float = 1.0) -> EllaV:
    torch.manual_seed(seed)
    config = TransformerConfig(
        dim=16,
        n_layers=2,
        head_dim=8,
        hidden_dim=24,
        n_heads=2,
        n_kv_heads=1,
        vocab_size=TOKENIZER.vocab_size,
        output_bias=True,
    )
    model = EllaV(config, TOKENIZER).double().eval()
    with torch.no_grad():
        model.transformer.output.weight.mul_(4)
        model.transformer.output.bias[EOP] = eop
    return model


names = st.lists(st.integers(0, K - 1).map("u{}".format), min_size=1, max_size=7)


@given(st.lists(names, min_size=1, max_size=4), st.integers(0, 5), st.integers(1, 60), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
@torch.no_grad()
def test_greedy_equals_the_plain_loop(prompts, cap, max_tokens, seed):
    model = tiny(seed)
    codes, finished = model.generate(prompts, max_tokens, cap, temperature=0)
    for prompt, *got in zip(prompts, codes, finished, strict=True):
        assert (got[0].tolist(), got[1]) == generate_one(model, prompt, max_tokens, cap)[:2]


lasting = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, 4)), min_size=1, max_size=6).map(
    lambda pairs: [(f"u{(unit + i) % 3 + 3 * (i % 2)}", n + (i == 0)) for i, (unit, n) in enumerate(pairs)]
)
"""Names without repeats and codec tokens of each, none of them too, but for the first."""


@given(st.lists(lasting, min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
@torch.no_grad()
def test_units_last_as_long_as_they_are_told_to(pairs, seed):
    model = tiny(seed)
    prompts = [[name for name, _ in prompt] for prompt in pairs]
    lengths = [[length for _, length in prompt] for prompt in pairs]
    codes, finished, durations = model.generate(prompts, 60, 0, temperature=0, durations=lengths, return_durations=True)
    assert [d.tolist() for d in durations] == lengths
    assert all(finished)
    for prompt, length, got in zip(prompts, lengths, codes, strict=True):
        assert got.tolist() == generate_of_lengths(model, prompt, length)


def test_units_of_given_lengths_are_sampled_alike_in_every_batch():
    model = tiny()
    prompts, lengths = [["u1", "u2"], ["u3", "u1", "u5"], ["u4"]], [[3, 0], [5, 1, 9], [2]]
    together = model.generate(prompts, 80, 5, seed=3, durations=[torch.tensor(n) for n in lengths])[0]
    for n in range(1, 3):
        alone = model.generate(prompts[:n], 80, 5, seed=3, durations=lengths[:n])[0]
        assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=False))
    codes, finished = model.generate([["u1", "u2"]], 7, 5, durations=[[3, 5]])
    assert (len(codes[0]), finished) == (5, [False])  # seven steps: two of them are EOP and the second unit's name


@pytest.mark.parametrize(
    ("durations", "match"),
    [
        ([], r"`durations` must be as many as prompts \(2\), but is 0"),
        ([[1, 2], [1, 2]], r"durations\[1\].*its 1 units"),
        ([[0, 2], [1]], r"durations\[0\].*first >= 1"),
        ([[1, 2], [1.0]], r"durations\[1\].*whole numbers"),
        ([[1, -1], [1]], r"durations\[0\].*whole numbers"),
    ],
)
def test_durations_that_do_not_fit_are_refused(durations, match):
    with pytest.raises(ValueError, match=match):
        tiny().generate([["u1", "u2"], ["u3", "u3"]], 20, 5, durations=durations)


def test_the_longest_segment_is_kept_in_the_checkpoint():
    model = tiny()
    assert model.longest_seconds is None
    assert "longest_seconds" not in model.checkpoint().config  # as files were before
    model.longest_seconds = 4.9
    assert EllaV.from_checkpoint(model.checkpoint()).longest_seconds == 4.9
    for bad in (0.5, float("inf"), True, "4"):
        damaged = model.checkpoint()
        damaged.config["longest_seconds"] = bad
        with pytest.raises(CheckpointError, match="longest_seconds"):
            EllaV.from_checkpoint(damaged)


def test_sampling_does_not_depend_on_the_batch():
    model = tiny()
    prompts = [["u1", "u2"], ["u0"], ["u3", "u1", "u5", "u2", "u0"], ["u4", "u2"]]
    together, _ = model.generate(prompts, 80, 5, top_p=0.9, seed=3)
    for n in range(1, 4):
        alone, _ = model.generate(prompts[:n], 80, 5, top_p=0.9, seed=3)
        assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=False))
    samples, _ = model.generate([prompts[2]] * 6, 80, 5, seed=3)
    assert len({tuple(s.tolist()) for s in samples}) == 6


def test_caps_and_durations():
    model = tiny(eop=-1e9)  # never ends a phone by itself
    with torch.no_grad():
        model.transformer.output.bias[: TOKENIZER.first_codec] = -1e9
    codes, finished, durations = model.generate([["u1", "u2", "u3"]], 100, 4, return_durations=True)
    assert durations[0].tolist() == [6, 5, 5]
    assert finished == [True]
    assert len(codes[0]) == 16


def test_sequences_that_end_at_once_give_empty_tensors():
    model = tiny(eop=1e9)
    codes, finished = model.generate([["u1"], ["u2"]], 10, 4)
    assert finished == [True, True]
    assert [c.shape for c in codes] == [(0,), (0,)]
    assert all(c.dtype == torch.int64 for c in codes)


@given(names, st.lists(st.integers(0, CODES - 1), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_training_sequence_keeps_what_it_is_made_of(phones, codes):
    ids = TOKENIZER.encode_train([p for p in phones for _ in range(2)], codes)
    prompt = TOKENIZER.phone_ids(phones)
    n = len(prompt)
    body = ids[n + 1 :]
    assert torch.equal(ids[:n], prompt)
    assert int(ids[n]) == BOS
    assert int(ids[-1]) == EOS
    assert [int(t) - TOKENIZER.first_codec for t in body if t >= TOKENIZER.first_codec] == codes
    assert [int(t) for t in body if 4 <= t < TOKENIZER.first_codec] == prompt.tolist()
    assert int((body == EOP).sum()) == n
    mask = TOKENIZER.loss_mask(ids)
    assert int(mask.sum()) == len(codes) + n + 1


def test_tokens_not_to_sandwich_are_dropped():
    values = {**TOKENIZER.to_dict(), "tokens_not_to_sandwich": ["u3"]}
    tokenizer = EllaVTokenizer.from_dict(values)
    assert tokenizer.encode_infer(["u1", "u3", "u1", "u2"]).tolist() == [5, 6, BOS, 5]
    with pytest.raises(ValueError, match="phones"):
        tokenizer.encode_infer(["u3"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": ["u1"]}, "prompts"),
        ({"prompts": [[]]}, "phones"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_codec_tokens_per_phone": -1}, "max_codec_tokens_per_phone"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top_p"),
    ],
)
def test_generate_refuses(changes, match):
    with pytest.raises(ValueError, match=match):
        tiny().generate(**{"prompts": [["u1"]], "max_tokens": 5, "max_codec_tokens_per_phone": 3, **changes})


def test_generate_refuses_units_that_are_numbers():
    with pytest.raises(TypeError, match="u17"):
        tiny().generate([[1, 2]], 5, 3)


def test_encode_train_refuses():
    with pytest.raises(ValueError, match="codec_tokens"):
        TOKENIZER.encode_train(["u1"], [CODES])
    with pytest.raises(ValueError, match="empty"):
        TOKENIZER.encode_train([], [1])


def test_a_damaged_tokenizer_is_refused():
    values = TOKENIZER.to_dict()
    for bad in ({**values, "num_phone_types": 5}, {**values, "BOS_id": 7}, {**values, "what": 1}, {}):
        with pytest.raises(CheckpointError):
            EllaVTokenizer.from_dict(bad)
    swapped = {**values["token_to_id_dict"], "0": 11, "1": 10}
    with pytest.raises(CheckpointError, match="in order"):
        EllaVTokenizer.from_dict({**values, "token_to_id_dict": swapped})


def test_an_interrupted_generation_leaves_the_model_usable(monkeypatch):
    model = tiny()
    before = model.generate([["u1", "u2"]], 40, 5, seed=1)[0][0]
    hidden, calls = model.transformer.hidden, iter(range(100))

    def interrupted(*args):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return hidden(*args)

    monkeypatch.setattr(model.transformer, "hidden", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.generate([["u1", "u2"]], 40, 5, seed=1)
    monkeypatch.undo()
    assert torch.equal(model.generate([["u1", "u2"]], 40, 5, seed=1)[0][0], before)


def test_seventy_samples_are_seventy_numbers():
    model, prompt = tiny(), ["u3", "u1", "u5", "u2", "u0"]
    made, _ = model.generate([prompt] * 70, 90, 9, seed=3)
    assert len({tuple(codes.tolist()) for codes in made}) == 70
    some, _ = model.generate([prompt] * 64, 90, 9, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(some, made, strict=False))


def test_numbers_of_numpy_are_numbers():
    model, prompts = tiny(), [["u3", "u1"]]
    (plain,), _ = model.generate(prompts, 60, 5, seed=3)
    (made,), _ = model.generate(prompts, np.int64(60), np.int32(5), seed=np.int64(3))
    assert torch.equal(made, plain)


@pytest.mark.parametrize("name", ["3", "0", "8", "9", "u6", "u999", "U1", "u-1", "EOS", "BOS", "EOP"])
def test_names_of_other_tokens_and_other_units_are_refused(name):
    for phones in ([name], ["u1", name]):
        with pytest.raises(ValueError, match=rf"u0 to u5, but is '{name}'.*same k"):
            tiny().generate([phones], 20, 3)
        with pytest.raises(ValueError, match=rf"'{name}'"):
            TOKENIZER.encode_train(phones, [1])


def phone_tokenizer() -> EllaVTokenizer:
    ids = {"UNK": 0, "BOS": 1, "EOP": 2, "EOS": 3, "AA": 4, "B": 5, "0": 6, "1": 7}
    return EllaVTokenizer(
        token_to_id_dict=ids, num_phone_types=2, phone_token_rate=50, num_codec_types=2, codec_token_rate=40
    )


def test_a_phone_that_is_not_known_is_unk_as_published_and_a_codec_token_is_no_phone():
    tokenizer = phone_tokenizer()
    assert tokenizer.encode_infer(["B", "XX", "UNK", "AA"]).tolist() == [5, 0, 0, 4, BOS, 5]
    assert tokenizer.encode_infer(["u7"]).tolist() == [0, BOS, 0]
    for name in ("1", "EOP"):
        with pytest.raises(ValueError, match=f"names of phones, but is '{name}'"):
            tokenizer.encode_infer(["B", name])
