from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mistral_ulm import UnitLM
from slmcore.errors import CheckpointError
from slmcore.files import model_hub
from slmzoo import hub
from slmzoo.training.data.unit_ids import UnitIds
from slmzoo.training.tasks import ulm
from slmzoo.training.tasks.warm_start import from_text_model
from tests.reference.units_on_disk import K, write_files
from tests.slmzoo.training.tasks.test_ulm import options
from twist import TwistLM

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA = {"intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8}
OPT = {"ffn_dim": 48, "max_position_embeddings": 96, "word_embed_proj_dim": 32, "dropout": 0.0}
MAKERS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, LLAMA),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, LLAMA),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {**LLAMA, "max_position_embeddings": 128}),
    "opt": (transformers.OPTConfig, transformers.OPTForCausalLM, OPT),
}


def text_model(kind: str, **more: object):
    torch.manual_seed(0)
    config, model, sizes = MAKERS[kind]
    spread = "init_std" if kind == "opt" else "initializer_range"
    made = model(config(**{**SIZES, **sizes, **more, spread: 0.3})).eval()
    for name, parameter in made.named_parameters():
        if "norm" in name and name.endswith("weight"):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize(
    ("kind", "more", "own"),
    [
        ("llama", {}, UnitLM),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rms_norm_eps": 1e-5}, UnitLM),
        ("llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}, UnitLM),
        ("llama", {"attention_bias": True}, TwistLM),
        ("mistral", {"sliding_window": None}, UnitLM),
        ("mistral", {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16}, UnitLM),
        ("qwen2", {}, TwistLM),
        ("opt", {}, TwistLM),
        ("opt", {"do_layer_norm_before": False}, TwistLM),
    ],
)
def test_the_copied_body_computes_what_the_text_model_does(tmp_path, kind, more, own):
    source = text_model(kind, **more)
    source.save_pretrained(tmp_path)
    made = from_text_model(str(tmp_path), k=39).eval()
    assert type(made) is own
    model = made.transformer
    with torch.no_grad():
        model.tok_embeddings.weight.copy_(source.get_input_embeddings().weight)
        model.output.weight.copy_(source.get_output_embeddings().weight)
        ids = torch.randint(40, (2, 30))
        torch.testing.assert_close(model(ids), source(ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "opt"])
def test_new_tables_are_as_wide_as_the_text_models(tmp_path, kind):
    text_model(kind).save_pretrained(tmp_path)
    torch.manual_seed(3)
    model = from_text_model(str(tmp_path), K, dropout=0.1)
    tables = model.transformer.tok_embeddings.weight, model.transformer.output.weight
    assert [tuple(table.shape) for table in tables] == [(K + 1, 32)] * 2
    assert all(float(table.detach().std()) == pytest.approx(0.3, rel=0.15) for table in tables)
    assert not torch.equal(*tables)
    assert model.transformer.config.dropout == 0.1
    assert UnitIds.of(model) == UnitIds(K, 1, 0)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "opt"])
def test_the_text_models_own_rows_as_slamkit_takes_them(tmp_path, kind):
    source = text_model(kind)
    source.save_pretrained(tmp_path)
    model = from_text_model(str(tmp_path), 20, "text", 0.2)
    assert isinstance(model, TwistLM)
    assert torch.equal(model.transformer.tok_embeddings.weight, source.get_input_embeddings().weight[:22])
    assert UnitIds.of(model) == UnitIds(20, 2, 1)
    assert model.transformer.config.dropout == 0.2
    ids = torch.randint(22, (1, 9))
    torch.testing.assert_close(model.eval()(ids), source(ids).logits[..., :22], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"model_type": "gpt2"}, "one of opt, llama, mistral, qwen2, but is 'gpt2'"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e6}}, "llama3"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "linear"),
    ],
)
def test_a_text_model_with_other_parts_is_refused(tmp_path, more, named):
    text_model("llama").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **more}))
    with pytest.raises(CheckpointError, match=named):
        from_text_model(str(tmp_path), 10)


def prepared(folder: Path, kind: str) -> Path:
    text_model(kind).save_pretrained(folder / "text")
    write_files(folder / "train")
    write_files(folder / "dev", chapters=1, seed=5)
    return folder / "text"


STILL = {"steps": 1, "lr": 1e-12, "first_lr": 1e-12, "last_lr": 0.0}


def test_a_run_starts_warm(tmp_path):
    text = prepared(tmp_path, "mistral")
    found = ulm.train(options(tmp_path, init=f"hf:{text}", save_half=True, **STILL))
    assert found["kind"] == "ulm"
    model = hub.language_model(zoo="mine", registry=tmp_path / "run" / "zoo.json")
    wanted = from_text_model(str(text), K).transformer.state_dict()
    for name, tensor in model.transformer.state_dict().items():
        if not name.startswith(("tok_embeddings", "output")):
            torch.testing.assert_close(tensor, wanted[name], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(("kind", "embeddings", "offset"), [("qwen2", "new", 1), ("opt", "text", 2)])
def test_a_run_of_another_kind_of_text_model_ends_in_the_zoo_too(tmp_path, kind, embeddings, offset):
    text = prepared(tmp_path, kind)
    found = ulm.train(options(tmp_path, init=f"hf:{text}", embeddings=embeddings, **STILL))
    assert (found["kind"], found["k"]) == ("twist_ulm", K)
    model = hub.language_model(zoo="mine", registry=tmp_path / "run" / "zoo.json")
    assert isinstance(model, TwistLM)
    assert (model.config.offset, model.has_bos, model.operating_point.lmbda) == (offset, True, 4.0)
    if embeddings == "text":
        start = from_text_model(str(text), K, "text").eval()
        units = [[1, 5, 2, 7], [3, 3]]
        for a, b in zip(model.logprobs(units, eos=True), start.logprobs(units, eos=True), strict=True):
            assert torch.allclose(a, b, atol=1e-4)
    # The held-out loss is that of whole utterances without their end, as for other models.
    assert found["loss"] > 0


def test_training_lowers_the_loss_of_a_model_begun_from_text(tmp_path):
    text = prepared(tmp_path, "opt")
    ulm.train(options(tmp_path, init=f"hf:{text}", steps=12, lr=1e-2, warmup=1, validate_every=1))
    lines = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    losses = [float(line.split(",")[lines[0].split(",").index("loss")]) for line in lines[1:]]
    assert losses[-1] < 0.8 * losses[0]


def test_chunks_longer_than_the_models_longest_are_refused(tmp_path):
    text = prepared(tmp_path, "opt")
    with pytest.raises(ValueError, match="`chunk` must be at most 96, the model's longest, but is 97"):
        ulm.train(options(tmp_path, init=f"hf:{text}", chunk=97))
    assert not (tmp_path / "run").exists()


def test_a_model_without_a_beginning_cannot_be_trained_on_utterances(tmp_path):
    text_model("opt").save_pretrained(tmp_path)
    model = from_text_model(str(tmp_path), K)
    bare = TwistLM(type(model.config).from_dict({**model.config.to_dict(), "bos": None}))
    with pytest.raises(ValueError, match="without BOS"):
        UnitIds.of(bare)


def test_what_is_missing_is_named_and_of_the_hub_only_what_is_needed_is_fetched(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        from_text_model(str(tmp_path / "nowhere"), 10)
    text_model("llama").save_pretrained(tmp_path)
    asked = []
    monkeypatch.setattr(model_hub, "folder_of", lambda *arguments: asked.append(arguments) or tmp_path)
    assert from_text_model("owner/name", 10).config.vocab_size == 11
    assert asked == [("hf://owner/name", ("*.json", "*.safetensors", "*.bin"))]
