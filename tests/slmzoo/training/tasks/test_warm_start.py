from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import torch

from slmzoo.training.tasks import ulm
from slmzoo.training.tasks.warm_start import body_of, config_of, from_text_model
from tests.reference.units_on_disk import K, write_files
from tests.slmzoo.training.tasks.test_ulm import options

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}


def text_model(kind: str, **more: object):
    torch.manual_seed(0)
    makers = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    }
    config, model = makers[kind]
    made = model(config(**{**SIZES, **HEADS, **more}, initializer_range=0.3)).eval()
    for name, parameter in made.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return made


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("llama", {}),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rms_norm_eps": 1e-5}),
        ("llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
        ("mistral", {"sliding_window": None}),
        ("mistral", {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16}),
    ],
)
def test_the_copied_body_computes_what_the_text_model_does(tmp_path, kind, more):
    source = text_model(kind, **more)
    source.save_pretrained(tmp_path)
    model = from_text_model(str(tmp_path), vocab_size=40).eval()
    with torch.no_grad():
        model.tok_embeddings.weight.copy_(source.get_input_embeddings().weight)
        model.output.weight.copy_(source.get_output_embeddings().weight)
        ids = torch.randint(40, (2, 30))
        wanted = source(ids, output_hidden_states=True)
        torch.testing.assert_close(model(ids), wanted.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.hidden(ids), wanted.hidden_states[-1], atol=1e-4, rtol=1e-4)


def test_every_weight_of_the_body_is_taken_and_none_of_the_vocabulary(tmp_path):
    source = text_model("llama")
    source.save_pretrained(tmp_path)
    torch.manual_seed(3)
    model = from_text_model(str(tmp_path), vocab_size=K + 1, dropout=0.1)
    body = body_of(source.state_dict(), 8)
    rest = set(model.state_dict()) - set(body)
    assert rest == {"tok_embeddings.weight", "output.weight"}
    assert model.tok_embeddings.weight.shape == model.output.weight.shape == (K + 1, 32)
    assert float(model.tok_embeddings.weight.detach().std()) == pytest.approx(0.3, rel=0.15)
    assert model.config.dropout == 0.1


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"model_type": "qwen2"}, "qwen2"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e6}}, "llama3"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "linear"),
    ],
)
def test_a_text_model_with_other_parts_is_refused(more, named):
    text = {**text_model("llama").config.to_dict(), **more}
    with pytest.raises(ValueError, match=f"`init` must be a model of type llama or mistral.*{named}"):
        config_of(text, 10)


def test_sizes_are_read_from_configs_of_older_versions_too():
    old = {"model_type": "llama", "num_attention_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 3e4, **SIZES}
    found = config_of({**old, "head_dim": None}, 10, 0.1)
    assert (found.head_dim, found.n_kv_heads, found.rope_theta, found.norm_eps) == (8, 4, 3e4, 1e-5)
    assert dataclasses.replace(found, vocab_size=11).hidden_dim == 48


def test_a_run_starts_warm(tmp_path):
    text_model("mistral").save_pretrained(tmp_path / "text")
    write_files(tmp_path / "train")
    write_files(tmp_path / "dev", chapters=1, seed=5)
    ulm.train(
        options(
            tmp_path, init=f"hf:{tmp_path / 'text'}", steps=1, lr=1e-12, first_lr=1e-12, last_lr=0.0, save_half=True
        )
    )
    registry = json.loads((tmp_path / "run" / "zoo.json").read_text())
    from mistral_ulm import load

    model = load(tmp_path / "run" / registry["rows"][0]["file"])
    body = body_of(text_model("mistral").state_dict(), 8)
    for name, wanted in body.items():
        torch.testing.assert_close(model.transformer.state_dict()[name], wanted, atol=2e-3, rtol=2e-3)


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="nowhere"):
        from_text_model(str(tmp_path / "nowhere"), 10)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"slmzoo\[transformers\]"):
        from_text_model("any", 10)
