from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from gslm.ulm import GSLMUnitLM, load
from tests.reference import goldens, gslm

pytestmark = pytest.mark.golden
SMALL = goldens.load_json("gslm_ulm_small")


@pytest.fixture(scope="module", params=["gslm_ulm_small", pytest.param("gslm_ulm_full", marks=pytest.mark.slow)])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = gslm.ulm_archive(tmp_path_factory.mktemp("ulm") / "lm.tgz", request.param)
    return load(path), *goldens.load(request.param)


def near(found: torch.Tensor, golden: np.ndarray) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= 1e-4 * golden.std())


def test_units_have_the_ids_of_the_dictionary(case):
    model, _, arrays = case
    for name in (name for name in arrays if name.startswith("units")):
        ids = model.tokenizer.encode(arrays[name].tolist())
        assert ids.tolist() == arrays[name.replace("units", "ids")].tolist()
        assert model.tokenizer.decode(ids) == arrays[name].tolist()


def test_log_probabilities_of_units_and_of_the_end(case):
    model, _, arrays = case
    names = sorted(name for name in arrays if name.startswith("units"))
    assert len(names) >= 3
    golden = [arrays[name.replace("units", "logprobs")] for name in names]
    units = [torch.from_numpy(arrays[name]) for name in names]
    for found, expected in zip(model.logprobs(units, eos=True), golden, strict=True):
        assert np.abs(found.numpy() - expected).max() < 1e-4
    for found, expected in zip(model.logprobs(units), golden, strict=True):
        assert np.abs(found.numpy() - expected[:-1]).max() < 1e-4
    (alone,) = model.logprobs(units[1:2], bos=False, eos=True)
    assert len(alone) == len(golden[1]) - 1
    for row, expected in zip(units, golden, strict=True):
        assert model.loglikelihood(model.tokenizer.encode(row)) == pytest.approx(expected[:-1].sum(), rel=1e-5)


def test_logits(case):
    model, about, arrays = case
    with torch.no_grad():
        logits = model(torch.from_numpy(arrays["ids2"])[None])[0]
    thin = logits if len(logits) == len(arrays["logits2"]) else logits[::6, ::2]
    assert near(thin, arrays["logits2"])
    assert about["args"]["arch"] == "transformer_lm_big"


def test_greedy_continuations_are_the_published_ones(case):
    model, about, _ = case
    greedy = about["continuations"]["greedy"]
    prompt, expected = greedy["prompt"], [int(unit) for unit in greedy["text"].split()]
    made = model.generate([prompt], len(expected) - len(prompt), temperature=0.0)
    assert [*prompt, *made.units[0].tolist()] == expected
    assert not made.finished[0]


def test_scores_of_published_continuations(case):
    model, about, arrays = case
    for name, golden in about["continuations"].items():
        ids = torch.from_numpy(arrays[f"{name}/ids"])
        with torch.no_grad():
            logits = model(torch.cat([torch.tensor([2]), ids[:-1]])[None])[0]
        scores = (logits / golden["temperature"]).log_softmax(-1).gather(1, ids[:, None]).squeeze(1)
        assert np.abs(scores.numpy() - arrays[f"{name}/scores"]).max() < 2e-4
        assert float(scores.mean()) == pytest.approx(golden["score"], abs=1e-4)


@pytest.fixture(scope="module")
def content() -> dict:
    return gslm.ulm_content("gslm_ulm_small")


def logits_of(content: dict, folder: Path) -> torch.Tensor:
    model: GSLMUnitLM = load(gslm.ulm_folder(folder, "gslm_ulm_small", content))
    with torch.no_grad():
        return model(torch.from_numpy(goldens.load_npz("gslm_ulm_small")["ids2"])[None])[0]


def test_other_containers_and_older_names_give_the_same(content, tmp_path):
    golden = goldens.load_npz("gslm_ulm_small")["logits2"]
    assert near(logits_of({**content, "args": Namespace(**content["args"])}, tmp_path / "namespace"), golden)
    state = dict(content["model"])
    del state["decoder.output_projection.weight"]
    state["decoder.embed_positions._float_tensor"] = torch.zeros(1)
    assert near(logits_of({**content, "model": state}, tmp_path / "shared"), golden)
    references = {"tokens_per_sample": "${task.tokens_per_sample}", "add_bos_token": "${task.add_bos_token}"}
    cfg = {"model": content["args"] | references, "task": {"tokens_per_sample": 64, "add_bos_token": False}}
    assert near(logits_of({"args": None, "cfg": cfg, "model": content["model"]}, tmp_path / "cfg"), golden)
    assert near(logits_of({**content, "model": older(content["model"])}, tmp_path / "older"), golden)


def older(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights by the names of older versions."""
    found = dict(state)
    found["decoder.embed_out"] = found.pop("decoder.output_projection.weight")
    for layer in range(3):
        start = f"decoder.layers.{layer}."
        for part in ("weight", "bias"):
            fused = [found.pop(f"{start}self_attn.{name}_proj.{part}") for name in "qkv"]
            found[f"{start}self_attn.in_proj_{part}"] = torch.cat(fused)
            for new, old in (("self_attn_layer_norm", "layer_norms.0"), ("final_layer_norm", "layer_norms.2")):
                found[f"{start}{old}.{part}"] = found.pop(f"{start}{new}.{part}")
    return found


@pytest.mark.parametrize("version", [None, 2.0])
def test_files_before_version_3_are_computed_without_their_final_norm(content, tmp_path, version):
    state = {name: value for name, value in content["model"].items() if name != "decoder.version"}
    state |= {} if version is None else {"decoder.version": torch.tensor([version])}
    found = logits_of({**content, "model": state}, tmp_path)
    assert float((found - torch.from_numpy(goldens.load_npz("gslm_ulm_small")["logits2"])).abs().max()) > 1
