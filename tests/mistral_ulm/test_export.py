from __future__ import annotations

import pytest
import torch

from mistral_ulm import UnitLM
from slmcore.layers.transformer import TransformerConfig

transformers = pytest.importorskip("transformers")

SIZES = {"dim": 24, "n_layers": 2, "head_dim": 6, "hidden_dim": 40, "n_heads": 4, "vocab_size": 31}
CONFIGS = {
    "grouped": TransformerConfig(**SIZES, n_kv_heads=2, rope_theta=500.0, norm_eps=1e-3, dropout=0.5),
    "plain": TransformerConfig(**SIZES, n_kv_heads=4),
}


def random_model(config: TransformerConfig) -> UnitLM:
    torch.manual_seed(3)
    model = UnitLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_logits_are_equal(name: str):
    model = random_model(CONFIGS[name])
    exported = model.to_transformers()
    assert isinstance(exported, transformers.MistralForCausalLM)
    assert not exported.training
    ids = torch.cat([torch.zeros(2, 1, dtype=torch.int64), torch.randint(1, 31, (2, 40))], 1)
    logits = model.transformer(ids)
    assert logits.std() > 0.2
    torch.testing.assert_close(exported(ids).logits, logits, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_the_exported_model_saves_and_loads_in_its_library(tmp_path):
    model = random_model(CONFIGS["grouped"])
    model.to_transformers().save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([[0, 5, 30, 1, 5]])
    torch.testing.assert_close(loaded(ids).logits, model.transformer(ids), atol=2e-5, rtol=1e-5)
    assert (loaded.config.bos_token_id, loaded.config.eos_token_id) == (0, 0)


def test_greedy_continuations_are_equal():
    model = random_model(CONFIGS["grouped"])
    ids = torch.tensor([[0, 4, 9, 2]])
    new = model.to_transformers().generate(ids, max_new_tokens=12, min_new_tokens=12, do_sample=False)[0, 4:]
    found = model.generate([[3, 8, 1]], 12, temperature=0, min_new_units=12)
    assert (found.units[0] + 1).tolist() == new.tolist()


def test_a_model_in_half_precision_is_exported_in_float32():
    exported = random_model(CONFIGS["plain"]).to(torch.bfloat16).to_transformers()
    assert {parameter.dtype for parameter in exported.parameters()} == {torch.float32}


def test_int8_weights_are_refused_by_name():
    model = random_model(CONFIGS["plain"])
    model.quantize("int8-weight-only")
    with pytest.raises(ValueError, match="int8 weights cannot be saved"):
        model.to_transformers()
