from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.errors import CheckpointError
from slmcore.layers.attention import attend, rotary, rotate, xformers_works
from slmcore.layers.transformer import Transformer, TransformerConfig

SIZES = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 48, "n_heads": 4, "vocab_size": 23}


def tiny(n_kv_heads: int = 2, dtype: torch.dtype = torch.float64) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(n_kv_heads=n_kv_heads, **SIZES)).to(dtype).eval()


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@given(chunks=st.lists(st.integers(1, 6), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_cached_in_any_chunks_equals_uncached(n_kv_heads, chunks):
    model = tiny(n_kv_heads)
    ids = torch.randint(0, 23, (3, sum(chunks)))
    cache = model.cache(3, sum(chunks) + 2)
    start, parts = 0, []
    for n in chunks:
        positions = torch.arange(start, start + n).expand(3, n)
        parts.append(model.output(model.hidden(ids[:, start : start + n], positions, cache, start + n)))
        start += n
    torch.testing.assert_close(torch.cat(parts, 1), model(ids))


@torch.no_grad()
def test_padding_and_neighbours_change_nothing():
    model = tiny()
    ids = torch.randint(0, 23, (3, 9))
    whole = model(ids)
    ids[1, 5:] = 7
    torch.testing.assert_close(model(ids)[1, :5], whole[1, :5])
    torch.testing.assert_close(model(ids[1:2, :5])[0], whole[1, :5])


@torch.no_grad()
def test_stale_slots_behind_the_position_are_not_seen():
    model = tiny()
    ids = torch.randint(0, 23, (1, 6))
    clean, dirty = model.cache(1, 10), model.cache(1, 10)
    dirty.keys.normal_()
    dirty.values.normal_()
    positions = torch.arange(6)[None]
    torch.testing.assert_close(model.hidden(ids, positions, dirty), model.hidden(ids, positions, clean))


@torch.no_grad()
def test_positions_past_eight_thousand():
    model = tiny(dtype=torch.float32)
    ids = torch.randint(0, 23, (1, 8100))
    logits = model(ids)
    cache = model.cache(1, 8100)
    model.hidden(ids[:, :8090], torch.arange(8090)[None], cache)
    last = model.output(model.hidden(ids[:, 8090:], torch.arange(8090, 8100)[None], cache))
    torch.testing.assert_close(last, logits[:, 8090:], atol=1e-4, rtol=1e-4)


def test_rotary_is_a_complex_product():
    positions = torch.tensor([[0, 3, 9001]])
    x = torch.randn(1, 2, 3, 8, dtype=torch.float64)
    turns = positions[0, :, None] * 100.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    expected = torch.view_as_complex(x.unflatten(-1, (4, 2))) * torch.polar(torch.ones_like(turns), turns)
    got = rotate(x, rotary(positions, 8, 100.0, torch.float64))
    torch.testing.assert_close(got, torch.view_as_real(expected).flatten(-2))


def test_attention_is_softmax_of_scaled_products():
    q, k, v = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    k4, v4 = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    scores = (q @ k4.mT / 8**0.5).masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
    torch.testing.assert_close(attend(q, k, v, None), scores.softmax(-1) @ v4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_keeps_the_norms(dtype):
    model = tiny(dtype=torch.float32)
    ids = torch.randint(0, 23, (2, 12))
    exact = model(ids)
    model = model.to(dtype)
    assert model.norm.weight.dtype == torch.float32
    assert model.layers[0].attention.wq.weight.dtype == dtype
    assert (model(ids).float() - exact).abs().max() < 0.05 * exact.std()


def test_xformers_that_is_absent_or_broken_is_not_used(monkeypatch):
    xformers_works.cache_clear()
    assert not xformers_works(torch.device("cpu"))
    xformers_works.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert not xformers_works(torch.device("cpu"))
    xformers_works.cache_clear()


def test_no_memory_for_the_cache():
    with pytest.raises(MemoryError, match=r"needs .* GB"):
        tiny().cache(1 << 20, 1 << 30)


@pytest.mark.parametrize(("name", "value"), [("dim", 0), ("head_dim", 7), ("n_kv_heads", 3), ("vocab_size", 2.5)])
def test_config_refuses(name, value):
    with pytest.raises(ValueError, match=name):
        TransformerConfig(**{**SIZES, "n_kv_heads": 2, name: value})


def test_config_refuses_unknown_names_and_ignores_the_meaningless_one():
    args = {**SIZES, "n_kv_heads": 2}
    assert TransformerConfig.from_args({**args, "max_batch_size": 7}) == TransformerConfig(**args)
    with pytest.raises(CheckpointError, match="rope_scaling"):
        TransformerConfig.from_args({**args, "rope_scaling": 2})


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("n_kv_heads", [2, 4])
@torch.no_grad()
def test_can_be_traced(n_kv_heads):
    model = tiny(n_kv_heads)
    ids = torch.randint(0, 23, (2, 7))
    torch.testing.assert_close(torch.jit.trace(model, ids)(ids.flip(0)), model(ids.flip(0)))


def test_sizes_are_whole_numbers():
    assert TransformerConfig(n_kv_heads=np.int64(2), **SIZES) == TransformerConfig(n_kv_heads=2, **SIZES)
    assert type(TransformerConfig(n_kv_heads=np.int64(2), **SIZES).n_kv_heads) is int
    for wrong in (True, 2.0, 0):
        with pytest.raises(ValueError, match="n_kv_heads"):
            TransformerConfig(n_kv_heads=wrong, **SIZES)
