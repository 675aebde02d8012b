from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmcore.errors import CheckpointError
from slmcore.layers.attention import attend, xformers_works
from slmcore.layers.positions import Learned, Sinusoidal, rotary, rotate
from slmcore.layers.precision import LayerNorm32
from slmcore.layers.transformer import MISTRAL, Form, Perceptron, PostNormBlock, Transformer, TransformerConfig

SIZES = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 48, "n_heads": 4, "vocab_size": 23}
CLASSIC = Form(
    norm=LayerNorm32,
    final_norm=LayerNorm32,
    feed_forward=partial(Perceptron, activation=torch.relu),
    positions=lambda config: Sinusoidal(config.dim**0.5, 2),
    attention_bias=True,
)
"""Layer norm, ReLU, biases, and positions added to the embeddings (Vaswani et al. 2017)."""
OPT = replace(CLASSIC, positions=lambda config: Learned(40, config.dim))
POST_NORM = replace(OPT, block=PostNormBlock, final_norm=lambda *_: torch.nn.Identity())
"""The forms of OPT (Zhang et al. 2022, arXiv 2205.01068): one of its sizes has the norms behind the parts."""


def tiny(n_kv_heads: int = 2, dtype: torch.dtype = torch.float64, form: Form = MISTRAL) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(n_kv_heads=n_kv_heads, **SIZES), form).to(dtype).eval()


@pytest.mark.parametrize(
    ("n_kv_heads", "form"),
    [(1, MISTRAL), (2, MISTRAL), (4, MISTRAL), (4, CLASSIC), (2, CLASSIC), (4, OPT), (4, POST_NORM)],
)
@given(chunks=st.lists(st.integers(1, 6), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_cached_in_any_chunks_equals_uncached(n_kv_heads, form, chunks):
    model = tiny(n_kv_heads, form=form)
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
    for x in (*dirty.keys, *dirty.values):
        x.normal_()
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sinusoidal_positions_are_added_to_scaled_embeddings(dtype):
    x = torch.randn(2, 3, 6, dtype=dtype)
    found = Sinusoidal(2.0, 5).embedded(x, torch.tensor([[0, 1, 2], [3000, 3001, 3002]]))
    for row, start in enumerate((5, 3005)):
        for step in range(3):
            rates = [1.0, 10000**-0.5, 1 / 10000]
            vector = [f((start + step) * rate) for f in (math.sin, math.cos) for rate in rates]
            expected = 2 * x[row, step] + torch.tensor(vector, dtype=dtype)
            torch.testing.assert_close(
                found[row, step], expected, atol=3e-4 if dtype == torch.float32 else 1e-12, rtol=0
            )


@torch.no_grad()
def test_a_layer_of_the_classic_form_is_that_of_torch():
    model = tiny(4, form=CLASSIC)
    block, x = model.layers[0], torch.randn(2, 5, 32, dtype=torch.float64)
    layer = torch.nn.TransformerEncoderLayer(32, 4, 48, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    qkv = [block.attention.get_submodule(name) for name in ("wq", "wk", "wv")]
    theirs, ours = layer.self_attn, block.attention
    theirs.in_proj_weight.copy_(torch.cat([each.weight for each in qkv]))
    theirs.in_proj_bias.copy_(torch.cat([each.bias for each in qkv]))
    parts = ((theirs.out_proj, ours.wo), (layer.linear1, block.feed_forward.w1), (layer.linear2, block.feed_forward.w2))
    for to, of in parts:
        to.load_state_dict(of.state_dict())
    layer.norm1.eps = layer.norm2.eps = 1e-6
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    turn = Sinusoidal(1.0, 0).turn(torch.arange(5)[None], torch.float64)
    torch.testing.assert_close(block(x, turn, None, 0), layer.eval()(x, mask, is_causal=True))


def test_attention_is_softmax_of_scaled_products():
    q, k, v = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    k4, v4 = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    scores = (q @ k4.mT / 8**0.5).masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
    torch.testing.assert_close(attend(q, k, v, None), scores.softmax(-1) @ v4)


@pytest.mark.parametrize("form", [MISTRAL, CLASSIC])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_keeps_the_norms(dtype, form):
    model = tiny(dtype=torch.float32, form=form)
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
    assert TransformerConfig.from_published({**args, "max_batch_size": 7}) == TransformerConfig(**args)
    with pytest.raises(CheckpointError, match="rope_scaling"):
        TransformerConfig.from_published({**args, "rope_scaling": 2})


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


@torch.no_grad()
def test_norms_behind_the_parts_are_the_papers():
    model = tiny(4, form=POST_NORM)
    ids = torch.randint(0, 23, (1, 1))
    x = model.tok_embeddings(ids) + model.positions.table.weight[0]
    for layer in model.layers:
        # Attention over one token is that token's value.
        attention = layer.attention
        x = layer.attention_norm(x + attention.wo(attention.wv(x)))
        ff = layer.feed_forward
        x = layer.ffn_norm(x + ff.w2(ff.w1(x).relu()))
    torch.testing.assert_close(model(ids), model.output(x))


def test_learned_positions_beyond_the_last_are_the_last():
    learned = Learned(5, 3)
    positions = torch.tensor([[0, 4, 5, 99]])
    rows = learned.table.weight[[0, 4, 4, 4]]
    assert torch.equal(learned.embedded(torch.ones(1, 4, 3), positions)[0], 1 + rows)
