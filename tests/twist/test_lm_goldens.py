from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slmcore.layers.sampling import Sampler
from tests.reference import goldens
from twist.lm import TwistLM

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("twist_lm_small")
INIT, INIT_ARRAYS = goldens.load("twist_init")
MODELS = list(ABOUT["models"])


def weights(about: dict, model: str) -> dict[str, torch.Tensor]:
    prefix = f"{model}: "
    shapes = about["state_dict"].items()
    return goldens.weights({key.removeprefix(prefix): value for key, value in shapes if key.startswith(prefix)})


def folder_of(folder: Path, config: dict, state: dict[str, torch.Tensor], ending: str = ".bin") -> Path:
    """A folder as transformers writes it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if ending == ".bin":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")
    return folder


def published_folder(folder: Path, model: str, ending: str = ".bin", **changes: object) -> Path:
    return folder_of(folder, {**ABOUT["models"][model]["config"], **changes}, weights(ABOUT, model), ending)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TwistLM]:
    root = tmp_path_factory.mktemp("twist")
    return {model: TwistLM.from_pretrained(published_folder(root / model, model)) for model in MODELS}


def units(name: str) -> torch.Tensor:
    return torch.from_numpy(ARRAYS[name])


def near(found: torch.Tensor, golden: np.ndarray, tolerance: float = 1e-4) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= tolerance * golden.std())


@pytest.mark.parametrize("model", MODELS)
@torch.no_grad()
def test_logits_and_log_probabilities(models, model):
    lm = models[model]
    for name in ("units2", "units4"):
        every = 8 if name == "units4" else 1
        assert near(lm(units(name)[None] + lm.config.offset)[0, ::every], ARRAYS[f"{model}/{name}/logits"])
    scores = ABOUT["models"][model]["sequence_scores"]
    found = lm.logprobs([units(each["units"]) for each in scores])
    for each, logprobs in zip(scores, found, strict=True):
        golden = ARRAYS[f"{model}/{each['units']}/logprobs"]
        assert np.abs(logprobs.numpy() - golden).max() < 1e-4
        assert -float(logprobs.sum()) == pytest.approx(each["sum_nll"], rel=1e-5)
        assert -float(logprobs.mean()) == pytest.approx(each["mean_nll"], rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_greedy_continuations(models, model):
    lm = models[model]
    for case in ABOUT["models"][model]["greedy"]:
        name, golden = case["prompt"], ARRAYS[f"{model}/{case['prompt']}/greedy"]
        prompt = units(name)
        new = case["compare_first"] - len(prompt)
        made = lm.generate([prompt], new, temperature=0)
        expected = golden[len(prompt) : case["compare_first"]]
        assert made.units[0].tolist() == [unit for unit in expected.tolist() if 0 <= unit < lm.k]
        assert made.finished == [len(golden) < case["max_length"]]


@pytest.mark.parametrize("model", MODELS)
def test_continuations_end_where_the_config_says(model, tmp_path):
    case = ABOUT["models"][model]["greedy_until_eos"]
    lm = TwistLM.from_pretrained(published_folder(tmp_path / "m", model, eos_token_id=case["eos_token_id"]))
    made = lm.generate([units("units3")], 200, temperature=0)
    golden = ARRAYS[f"{model}/units3/greedy_until_eos"][len(units("units3")) :].tolist()
    assert made.units[0].tolist() == [unit for unit in golden if 0 <= unit < lm.k]
    assert made.finished == [True]


@pytest.mark.parametrize("model", MODELS)
@torch.no_grad()
def test_probabilities_of_the_next_unit_under_the_published_sampling(models, model):
    lm, golden = models[model], ARRAYS[f"{model}/units3/next_probs"]
    logits = lm(units("units3")[None] + lm.config.offset)[0, -1]
    draws = 4000
    sampler = Sampler(temperature=0.8, top_k=50, seed=3)
    drawn = sampler(logits.expand(draws, -1), torch.arange(draws), torch.zeros(draws, dtype=torch.int64))
    counts = torch.bincount(drawn, minlength=len(golden)).numpy()
    assert not counts[golden == 0].any()
    spread = np.sqrt(draws * golden * (1 - golden)) + 1
    assert (np.abs(counts - draws * golden) < 4.5 * spread).all()


@pytest.mark.parametrize("model", list(INIT["models"]))
@torch.no_grad()
def test_a_warm_start_as_slamkits(model, tmp_path):
    about = INIT["models"][model]
    text = folder_of(tmp_path / "text", about["config"], weights(INIT, model), ".safetensors")
    lm = TwistLM.from_text_model(text, 50)
    ids = torch.from_numpy(INIT_ARRAYS["ids"])
    assert near(lm(ids)[0], INIT_ARRAYS[f"{model}/logits"])
    assert lm.config.vocab_size == about["smaller_vocabulary"]["config_after"]["vocab_size"]
    bigger = TwistLM.from_text_model(text, 118).transformer.tok_embeddings.weight
    assert torch.equal(bigger[:52], lm.transformer.tok_embeddings.weight)
    assert torch.allclose(bigger[90:], bigger[:90].mean(0).expand(30, -1), atol=1e-6)
    scored = lm.logprobs([INIT["tokeniser"]["units"], [3, 7]], eos=True)
    assert [float(x.sum()) for x in scored] == pytest.approx(INIT_ARRAYS[f"{model}/sum_ll"].tolist(), rel=1e-5)
    assert [float(x.mean()) for x in scored] == pytest.approx(INIT_ARRAYS[f"{model}/mean_ll"].tolist(), rel=1e-5)


@pytest.mark.parametrize("model", list(INIT["models"]))
@torch.no_grad()
def test_a_folder_of_slamkits(model, tmp_path):
    about, size = INIT["models"][model], 52
    state = {f"lm.{key}": value for key, value in weights(INIT, model).items()}
    for key in about["smaller_vocabulary"]["resized"]:
        state[key] = state[key][:size].clone()
    config = {"model_type": "speech_language_model", "vocab_size": size, "base_config": about["config"]}
    lm = TwistLM.from_pretrained(folder_of(tmp_path / "slam", config, state, ".safetensors"))
    assert near(lm(torch.from_numpy(INIT_ARRAYS["ids"]))[0], INIT_ARRAYS[f"{model}/logits"])
    assert (lm.k, lm.config.bos, lm.config.eos) == (50, 1, 1)
