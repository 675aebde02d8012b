from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slmcore.errors import CheckpointError
from slmcore.roles import UnitLanguageModel
from slmcore.units import OperatingPoint, Units
from tests.twist.test_lm_goldens import ABOUT, INIT, MODELS, folder_of, published_folder, weights
from twist import TwistLM, TwistLMConfig
from twist.lm import load
from twist.lm_config import ARCHITECTURES

K = 12
SIZES = TwistLMConfig(
    architecture="opt",
    vocab_size=K + 3,
    dim=16,
    layers=2,
    heads=2,
    kv_heads=2,
    head_dim=8,
    hidden_dim=24,
    longest=60,
    num_units=K,
    offset=3,
    eos=1,
)


def made(**changes: object) -> TwistLM:
    torch.manual_seed(2)
    return TwistLM(replace(SIZES, **changes)).double().eval().requires_grad_(False)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def lm(request: pytest.FixtureRequest) -> TwistLM:
    return made(architecture=request.param, attention_bias=request.param != "llama")


def plain(lm: TwistLM, tokens: list[int]) -> list[float]:
    logprobs = lm(torch.tensor([tokens]))[0].log_softmax(-1)
    return [float(logprobs[t, token]) for t, token in enumerate(tokens[1:])]


def test_the_role(lm):
    assert isinstance(lm, UnitLanguageModel)
    assert (lm.k, lm.device.type, lm.has_bos) == (K, "cpu", False)


def test_scores_do_not_depend_on_the_batch(lm):
    lengths = torch.randint(2, 55, (60,)).tolist()
    sequences = [torch.randint(0, K, (n,)) for n in lengths]
    found = lm.logprobs(sequences)
    for units, logprobs in zip(sequences, found, strict=True):
        assert logprobs.tolist() == pytest.approx(plain(lm, (units + 3).tolist()), rel=1e-9)
    again = lm.logprobs(sequences[::-1])[::-1]
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(found, again, strict=True))
    assert lm.logprobs([]) == []


def test_beginning_and_end_where_the_model_knows_them():
    lm = made(bos=2)
    own = Units(torch.tensor([4, 0]), torch.tensor([3, 1]), 25.0)
    assert lm.has_bos
    for options, tokens in (
        ({}, [2, 7, 3]),
        ({"bos": False}, [7, 3]),
        ({"eos": True}, [2, 7, 3, 1]),
        ({"bos": False, "eos": True}, [7, 3, 1]),
    ):
        (found,) = lm.logprobs([own], **options)
        assert found.tolist() == pytest.approx(plain(lm, tokens), rel=1e-9), options
    assert lm.logprobs([[5]])[0].tolist() == pytest.approx(plain(lm, [2, 8]), rel=1e-9)


def test_what_cannot_be_scored_is_refused():
    lm = made(eos=None)
    for call, words in (
        (lambda: lm.logprobs([[1, 2]], bos=True), "`bos` must be False.*--convention twist"),
        (lambda: lm.logprobs([[1, 2]], eos=True), "`eos` must be False"),
        (lambda: lm.logprobs([[1]]), "`units` must be at least 2, the first of which is not scored, but is 1"),
        (lambda: lm.logprobs([[1, 2], []]), "at least 2"),
        (lambda: lm.logprobs([[1, K]]), "from 0 to 11, the model's codebook, but is a sequence of units from 1 to 12"),
        (lambda: lm.logprobs([[-1, 2]]), "from 0 to 11"),
        (lambda: lm.logprobs([torch.tensor([1.0, 2.0])]), "whole numbers"),
        (lambda: lm.logprobs([[1, 2] * 31]), "at most 60 tokens, but is 62"),
        (lambda: lm.generate([[]]), "at least one unit each"),
        (lambda: lm.generate([[1, 2] * 30]), "at most 59 tokens, but is 60"),
        (lambda: lm.generate([1, 2]), r"One prompt is `\[prompt\]`"),
        (lambda: lm.generate([[1]], 0), "max_new_units"),
        (lambda: lm.generate([[1]], 3, num_samples=0), "num_samples"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert len(lm.logprobs([[1, 2] * 30])[0]) == 59


def test_generation_does_not_depend_on_the_batch(lm):
    prompts = [[1, 2, 3], [4], [7, 7, 1, 0, 2, 5]]
    together = lm.generate(prompts, 30, seed=5, num_samples=2)
    for n in (1, 2):
        first = lm.generate(prompts[:n], 30, seed=5, num_samples=2)
        assert len(first.units) == 2 * n
        assert all(torch.equal(a, b) for a, b in zip(first.units, together.units, strict=False))
    assert not torch.equal(together.units[0], together.units[1])
    other = lm.generate(prompts, 30, seed=6, num_samples=2)
    assert any(not torch.equal(a, b) for a, b in zip(other.units, together.units, strict=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generated_log_probs_are_those_of_scoring(architecture):
    lm = made(architecture=architecture, attention_bias=False, offset=0, num_units=K + 3, eos=None)
    prompt, found = [3, 1, 4], []
    for _ in range(12):
        found.append(int(lm(torch.tensor([[*prompt, *found]]))[0, -1].argmax()))
    made_units = lm.generate([prompt], 12, temperature=0)
    assert made_units.units[0].tolist() == found
    assert made_units.log_probs[0].tolist() == pytest.approx(plain(lm, [*prompt, *found])[2:], abs=1e-5)


def always(lm: TwistLM, token: int) -> TwistLM:
    """A model that is sure of one token."""
    lm.transformer.output.weight.zero_()
    lm.transformer.norm.weight.zero_()
    lm.transformer.norm.bias.fill_(1.0)
    lm.transformer.output.weight[token] = 1.0
    return lm


def test_lengths_by_default_are_the_published_ones_and_prompts_may_be_long():
    lm = always(made(longest=900), 5)
    lengths = {1: 2, 2: 4, 83: 166, 84: 166, 249: 166, 251: 166, 500: 166, 800: 100}
    found = lm.generate([[0] * n for n in lengths])
    assert [len(units) for units in found.units] == list(lengths.values())
    assert all(units.unique().tolist() == [2] for units in found.units)
    assert found.finished == [False] * len(lengths)
    assert [len(units) for units in lm.generate([[0], [0] * 890], 20).units] == [20, 10]
    assert len(lm.generate([[0]], min_new_units=9).units[0]) == 9


def test_sequences_end_and_tokens_that_are_no_units_are_left_out():
    ended = always(made(), 1).generate([[2], [3, 4]])
    assert ([len(units) for units in ended.units], ended.finished) == ([0, 0], [True, True])
    late = always(made(), 1).generate([[2]], 20, min_new_units=4, seed=1)
    assert late.finished == [True]
    assert late.log_probs[0].shape == late.units[0].shape
    special = always(made(), 0).generate([[2]], 7)
    assert ([len(units) for units in special.units], special.finished) == ([0], [False])
    beyond = always(made(num_units=K - 1), K + 2).generate([[2]], 7)
    assert len(beyond.units[0]) == 0
    endless = always(made(eos=None), 1).generate([[2]], 7)
    assert (len(endless.units[0]), endless.finished) == (0, [False])


def test_a_repetition_penalty_reaches_the_first_unit_of_the_prompt():
    lm = always(made(), 5)
    lm.transformer.output.weight[6] = 0.9
    assert lm.generate([[1, 4]], 1, temperature=0).units[0].tolist() == [2]
    assert lm.generate([[2, 4]], 1, temperature=0, repetition_penalty=1.5).units[0].tolist() == [3]


def test_int8_weights_score_alike():
    exact = TwistLM(SIZES).eval()
    rounded = TwistLM(SIZES).eval()
    rounded.load_state_dict(exact.state_dict())
    rounded.quantize("int8")
    units = [torch.randint(0, K, (40,))]
    difference = (exact.logprobs(units)[0] - rounded.logprobs(units)[0]).abs().max()
    assert 0 < float(difference) < 0.1


@pytest.mark.parametrize("model", MODELS)
def test_folders_files_and_archives_hold_one_model(model, tmp_path):
    golden = load(published_folder(tmp_path / "bin" / "TWIST", model))
    sequence = [torch.arange(20) % 7]
    expected = golden.logprobs(sequence)[0]
    safe = published_folder(tmp_path / "safe", model, ".safetensors")
    with zipfile.ZipFile(tmp_path / "TWIST-350M.zip", "w") as archive:
        for file in safe.iterdir():
            archive.write(file, f"TWIST-350M/{file.name}")
    golden.operating_point = OperatingPoint(zoo="z", k=100)
    golden.save_pretrained(tmp_path / "own")
    for path in (safe, safe / "model.safetensors", tmp_path / "TWIST-350M.zip", tmp_path / "own"):
        assert torch.equal(load(path).logprobs(sequence)[0], expected), path
    assert load(tmp_path / "own").operating_point == golden.operating_point
    assert load(safe, k=90).k == 90


def test_a_tied_head_may_be_in_the_file_too(tmp_path):
    folder = published_folder(tmp_path / "a", "opt_post")
    without = load(folder)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    state["lm_head.weight"] = state["model.decoder.embed_tokens.weight"].clone()
    again = load(folder_of(tmp_path / "b", json.loads((folder / "config.json").read_text()), state))
    assert torch.equal(again.transformer.output.weight, without.transformer.output.weight)


@pytest.mark.parametrize("model", MODELS)
def test_half_precision_files_are_computed_in_float32(model, tmp_path):
    folder = published_folder(tmp_path / "half", model)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({key: value.half() for key, value in state.items()}, folder / "pytorch_model.bin")
    lm = load(folder)
    assert {parameter.dtype for parameter in lm.parameters()} == {torch.float32}


def changed(folder: Path, **changes: object) -> Path:
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != "gone"}))
    return folder


@pytest.mark.parametrize(
    ("model", "key"),
    [
        *(("opt_pre", key) for key in ("hidden_size", "num_hidden_layers", "ffn_dim", "num_attention_heads")),
        *(("llama", key) for key in ("vocab_size", "intermediate_size", "max_position_embeddings", "offset")),
    ],
)
def test_a_config_without_a_needed_key_is_refused_by_name(model, key, tmp_path):
    with pytest.raises(CheckpointError, match=f"lacks `{key}`"):
        load(changed(published_folder(tmp_path / "m", model), **{key: "gone"}))


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        ("opt_pre", {"model_type": "gpt2"}, "model_type"),
        ("opt_pre", {"activation_function": "tanh"}, "activation"),
        ("opt_pre", {"enable_bias": False}, "enable_bias"),
        ("opt_pre", {"offset": 104}, "num_units"),
        ("opt_pre", {"offset": -1}, "offset"),
        ("opt_pre", {"num_hidden_layers": 2}, "unexpected transformer.layers.2"),
        ("opt_pre", {"max_position_embeddings": 128}, r"positions\.table\.weight is \(256, 32\), not \(128, 32\)"),
        ("llama", {"rope_scaling": {"rope_type": "llama3"}}, "rope_type"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act"),
        ("llama", {"eos_token_id": [2, 3]}, "eos_token_id"),
        ("llama", {"eos_token_id": 1000}, "eos"),
        ("llama", {"model_type": "speech_language_model"}, "base_config"),
    ],
)
def test_models_of_other_kinds_are_refused(model, changes, words, tmp_path):
    with pytest.raises(CheckpointError, match=words):
        load(changed(published_folder(tmp_path / "m", model), **changes))


def test_weights_of_unknown_names_are_refused(tmp_path):
    folder = published_folder(tmp_path / "m", "llama")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({**state, "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}, folder / "pytorch_model.bin")
    assert load(folder).k == 100
    torch.save({**state, "model.layers.0.adapter.weight": torch.ones(4)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"layers\.0\.adapter\.weight"):
        load(folder)


def test_the_end_is_that_of_the_generation_config(tmp_path):
    folder = published_folder(tmp_path / "m", "llama")
    assert load(folder).config.eos == 2
    (folder / "generation_config.json").write_text('{"eos_token_id": [7], "top_k": 25}')
    assert load(folder).config.eos == 7
    (folder / "generation_config.json").write_text('{"eos_token_id": null}')
    assert load(folder).config.eos is None


def test_a_text_model_is_no_language_model_of_units(tmp_path):
    about = INIT["models"]["qwen_tied"]
    folder = folder_of(tmp_path / "m", about["config"], weights(INIT, "qwen_tied"))
    with pytest.raises(CheckpointError, match="from_text_model"):
        load(folder)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="No weights at"):
        load(folder)


@torch.no_grad()
@pytest.mark.parametrize("model", [*MODELS, *INIT["models"]])
def test_transformers_gives_the_same_logits(model, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the oracle is transformers")
    about = ABOUT if model in MODELS else INIT
    config = {**about["models"][model]["config"], "offset": 4}
    folder = folder_of(tmp_path / "m", config, weights(about, model))
    oracle = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(4, config["vocab_size"], (3, 50))
    torch.testing.assert_close(load(folder)(ids), oracle(ids).logits, atol=2e-5, rtol=1e-4)
