"""Caches and captured steps that serve call after call, rehearsed on a CPU, and as CUDA graphs on a GPU."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest
import torch

from slmcore.language.generation import continued
from slmcore.layers import kept
from slmcore.layers.fast import switch
from slmcore.layers.sampling import Sampler
from slmcore.layers.transformer import Form, Perceptron, Transformer, TransformerConfig

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
FORMS = {"Mistral": Form(), "another": Form(feed_forward=lambda dim, hidden: Perceptron(dim, hidden, torch.relu))}
BATCHES = [[[1, 2, 3]], [[4], [5, 6, 7, 8], [9, 9]], [[1], [2], [3], [4], [5], [6]], [[1, 2, 3]]]
END = 10


def tiny(form: str = "Mistral", device: str = "cpu") -> Transformer:
    torch.manual_seed(0)
    sizes = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 24, "n_heads": 4, "n_kv_heads": 2}
    model = Transformer(TransformerConfig(vocab_size=11, **sizes), FORMS[form])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval().to(device)


def continuations(model: Transformer, prompts: list[list[int]], most: int = 40, seed: int = 3, **more: Any) -> Any:
    sampler = Sampler(seed=seed, temperature=more.pop("temperature", 1.0))
    made = continued(model, [torch.tensor(p) for p in prompts], sampler, end=END, max_new_units=most, **more)
    return [(each.tokens.tolist(), each.finished) for each in made]


def steps_of(model: Transformer) -> list[Any]:
    return list(kept._models[model]._steps)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_call_after_call_equals_fresh_ones(form: str, temperature: float, device: str) -> None:
    model = tiny(form, device)
    for prompts in BATCHES:
        for options in ({}, {"seed": 9}, {"min_new_units": 30}, {"repetition_penalty": 1.5, "never": [4]}):
            expected = continuations(model, prompts, temperature=temperature, **options)
            with switch.using("rehearse"):
                assert continuations(model, prompts, temperature=temperature, **options) == expected


def test_like_calls_share_a_step_whatever_the_seed_and_the_length() -> None:
    model = tiny()
    with switch.using("rehearse"):
        continuations(model, BATCHES[0])
        assert len(steps_of(model)) == 1
        cache = kept._models[model].cache
        continuations(model, [[5, 5, 5, 5]], seed=8, most=200)
        assert len(steps_of(model)) == 1 and kept._models[model].cache is cache
        continuations(model, BATCHES[0], temperature=0.5)
        assert len(steps_of(model)) == 2


def test_steps_and_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    with switch.using("rehearse"):
        for i in range(20):
            continuations(model, BATCHES[0], most=2, temperature=1 + i / 10)
        assert len(steps_of(model)) == 16
        expected = continuations(model, BATCHES[2])
        monkeypatch.setattr(kept, "MOST_BYTES", 1000)
        fresh = tiny()
        assert continuations(fresh, BATCHES[2]) == expected
        assert steps_of(fresh) == []


def test_weights_that_change_or_move_are_followed() -> None:
    model, other = tiny(), tiny()
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    expected = continuations(other, BATCHES[1])
    with switch.using("rehearse"):
        assert continuations(model, BATCHES[1]) != expected
        model.load_state_dict(other.state_dict())
        assert continuations(model, BATCHES[1]) == expected
        model.double()
        other.double()
        assert continuations(model, BATCHES[1]) == continuations(other, BATCHES[1])
    model.half()
    assert model.layers[0].attention.wq.weight.dtype == torch.float16


def test_only_one_thread_uses_what_is_kept() -> None:
    model = tiny()
    expected = continuations(model, BATCHES[1])
    with switch.using("rehearse"), kept.kept_for(model, [torch.zeros(1)], _rule(), 5, None) as mine:
        assert mine is not None
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(continuations(model, BATCHES[1])))
        thread.start()
        thread.join()
    assert found == [expected]


def test_nothing_is_kept_unasked() -> None:
    model = tiny()
    continuations(model, BATCHES[0])
    assert model not in kept._models
    with switch.using("rehearse"), kept.kept_for(model, [torch.zeros(1)], _rule(), 5, graph=False) as none:
        assert none is None
    with switch.using("rehearse"), kept.kept_for(model, [torch.zeros(1)], object(), 5, None) as none:
        assert none is None


def test_what_is_kept_goes_with_the_model() -> None:
    model = tiny()
    with switch.using("rehearse"):
        continuations(model, BATCHES[1])
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def _rule() -> Any:
    from slmcore.language.endings import UntilToken

    return UntilToken([torch.zeros(1, dtype=torch.int64)], 11, torch.device("cpu"), end=END)
