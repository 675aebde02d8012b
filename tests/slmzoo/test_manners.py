"""Public methods return ordinary tensors, models come in evaluation mode, and rates have one name each."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gslm.ulm import load as load_gslm
from slmcore.files.pretrained import Publishable
from slmcore.units import Codes
from slmzoo.pipeline import Pipeline
from tests.reference import gslm
from tests.reference.soundstream import small as small_soundstream
from tests.speechtokenizer.test_model import small as small_speechtokenizer
from tests.twist.test_vocoder import made as small_vocoder

NO_TENSORS = {
    "checkpoint",
    "save_pretrained",
    "push_to_hub",
    "model_card",
    "to_transformers",
    "quantize",
    "keep_layers",
    "num_frames",
    "unused_parameters",
    "is_short",
    "stream",
    "speech_stream",
    "streaming",
}
WAV = torch.randn(1, 12000, generator=torch.Generator().manual_seed(1)) * 0.1
NAMES = ["u3", "u1", "u4"]


def models(pipeline: Pipeline, folder: Any) -> dict[str, nn.Module]:
    ellav = pipeline.synthesizer.models["ellav"]
    return {
        "pipeline": pipeline,
        "wavlm": pipeline.encoder,
        "dpdp": pipeline.quantizer,
        "ulm": pipeline.ulm,
        "ellav": ellav,
        "synthesizer": pipeline.synthesizer,
        "wavtokenizer": pipeline.codec,
        "speechtokenizer": small_speechtokenizer(),
        "soundstream": small_soundstream("causal"),
        "gslm_ulm": load_gslm(gslm.ulm_folder(folder, "gslm_ulm_small")),
        "vocoder": small_vocoder(duration_width=4),
    }


def unit_lm(model: Any) -> dict[str, Callable[[], Any]]:
    ids = torch.tensor([0, 4, 2, 6])
    calls: dict[str, Callable[[], Any]] = {
        "loglikelihood": lambda: model.loglikelihood(ids),
        "logprobs": lambda: model.logprobs([[3, 1], [2]]),
        "generate": lambda: model.generate([[3, 1]], 5),
    }
    if hasattr(model, "loglikelihoods"):
        calls["loglikelihoods"] = lambda: model.loglikelihoods([ids], per_token=True)
    return calls


def codec(model: Any) -> dict[str, Callable[[], Any]]:
    codes = model.encode_wav(WAV, model.sample_rate)
    return {
        "encode_wav": lambda: model.encode_wav(WAV, model.sample_rate),
        "decode_codes": lambda: model.decode_codes(codes),
    }


def codes(model: Any, *shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


CALLS: dict[str, Callable[[Any], dict[str, Callable[[], Any]]]] = {
    "pipeline": lambda m: {
        "units": lambda: m.units(WAV, 16000),
        "codes": lambda: m.codes(WAV, 16000),
        "features": lambda: m.features(WAV, 16000),
        "copy": lambda: m.copy(WAV, 16000),
        "loglikelihood": lambda: m.loglikelihood(wav=WAV, sr=16000),
        "loglikelihoods": lambda: m.loglikelihoods([[3, 1]]),
        "resynthesize": lambda: m.resynthesize(WAV, 16000),
        "continue_speech": lambda: m.continue_speech(WAV, 16000, 0.3, max_new_units=4),
    },
    "wavlm": lambda m: {
        "features": lambda: m.features(WAV, 16000, 2),
        "features_batch": lambda: m.features_batch([WAV, WAV[:, :5000]], 16000),
        "mean_of_layers": lambda: m.mean_of_layers(WAV, 16000),
    },
    "dpdp": lambda m: {
        "segment": lambda: m.segment(torch.randn(9, m.dim)),
        "sweep": lambda: m.sweep([torch.randn(9, m.dim)], [0.0, 2.0]),
    },
    "ulm": unit_lm,
    "gslm_ulm": unit_lm,
    "ellav": lambda m: {"generate": lambda: m.generate([NAMES], 60, 5, return_durations=True)},
    "synthesizer": lambda m: {"speak": lambda: m.speak([[3, 1], [4]])},
    "vocoder": lambda m: {"speak": lambda: m.speak([[3, 1], [4]])},
    "wavtokenizer": lambda m: {
        **codec(m),
        "encode": lambda: m.encode(WAV, 24000),
        "encode_batch": lambda: m.encode_batch([WAV[0], WAV[0, :6000]], 24000),
        "decode": lambda: m.decode(codes(m, 1, 1, 5)),
        "decode_batch": lambda: m.decode_batch([codes(m, 5), codes(m, 3)]),
    },
    "speechtokenizer": lambda m: {
        **codec(m),
        "encode": lambda: m.encode(WAV[None]),
        "encode_batch": lambda: m.encode_batch([WAV], m.sample_rate),
        "decode": lambda: m.decode(codes(m, 2, 1, 5)),
        "decode_batch": lambda: m.decode_batch([Codes(codes(m, 2, 5), m.frame_rate, m.num_codes)]),
        "forward_feature": lambda: m.forward_feature(WAV[None]),
        "first_level_features": lambda: m.first_level_features([WAV, WAV[:, :6000]], m.sample_rate),
        "analyse": lambda: m.analyse(WAV),
        "synthesise": lambda: m.synthesise(m.analyse(WAV)),
        "convert": lambda: m.convert(*[Codes(codes(m, 2, 5), m.frame_rate, m.num_codes)] * 2),
    },
    "soundstream": lambda m: {
        **codec(m),
        "encode": lambda: m.encode(WAV, m.sample_rate),
        "encode_batch": lambda: m.encode_batch([WAV], m.sample_rate),
        "encode_latents": lambda: m.encode_latents(WAV, m.sample_rate),
        "quantize": lambda: m.quantize(m.encode_latents(WAV, m.sample_rate)),
        "dequantize": lambda: m.dequantize(codes(m, 1, 2, 5)),
        "decode": lambda: m.decode(codes(m, 1, 2, 5)),
        "decode_latents": lambda: m.decode_latents(m.dequantize(codes(m, 1, 2, 5))),
        "decode_batch": lambda: m.decode_batch([Codes(codes(m, 2, 5), m.frame_rate, m.num_codes)]),
        "first_level_features": lambda: m.first_level_features([WAV, WAV[:, :6000]], m.sample_rate),
        "measure_latents": lambda: m.measure_latents([WAV[0]], m.sample_rate),
        "latents": lambda: m.latents(WAV, m.sample_rate),
        "from_latents": lambda: m.from_latents(m.latents(WAV, m.sample_rate)),
        "analyse": lambda: m.analyse(WAV),
        "synthesise": lambda: m.synthesise(m.dequantize(codes(m, 1, 2, 5))),
    },
}


@pytest.fixture(scope="module")
def made(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    return models(pipeline, tmp_path_factory.mktemp("gslm"))


def tensors_in(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif dataclasses.is_dataclass(result):
        yield from tensors_in([getattr(result, field.name) for field in dataclasses.fields(result)])
    elif isinstance(result, (list, tuple)):
        for each in result:
            yield from tensors_in(each)


def train_on(x: Tensor) -> None:
    """A step of training on `x`, which autograd keeps for the backward pass."""
    if x.is_floating_point():
        weight = torch.ones((), requires_grad=True)
        (x * weight).square().sum().backward()
    else:
        nn.Embedding(int(x.max()) + 1 if x.numel() else 1, 2)(x).square().sum().backward()


@pytest.mark.parametrize("name", CALLS)
def test_results_can_be_trained_on(name, made):
    model = made[name]
    calls = CALLS[name](model)
    defined = {n for n, _ in inspect.getmembers(type(model), inspect.isfunction) if n not in dir(nn.Module)}
    public = {n for n in defined if not n.startswith("_")}
    assert public - NO_TENSORS <= set(calls), "every public method is called, or named as one without tensors"
    for method, call in calls.items():
        for x in tensors_in(call()):
            assert not x.is_inference(), (name, method)
            train_on(x)


@pytest.mark.parametrize("name", CALLS)
def test_models_come_in_evaluation_mode(name, made):
    assert not any(module.training for module in made[name].modules())


@pytest.mark.parametrize("name", CALLS)
def test_models_know_their_device_and_save_themselves(name, made):
    assert made[name].device == torch.device("cpu")
    if name == "synthesizer":  # it is saved as the models that it is made of
        assert all(isinstance(model, Publishable) for model in made[name].models.values())
    else:
        assert isinstance(made[name], Publishable)
        assert callable(type(made[name]).from_pretrained)


RATES = {
    "pipeline": {"k": 20, "frame_rate": 50.0, "sample_rate": 16000},
    "wavlm": {"frame_rate": 50.0, "sample_rate": 16000},
    "dpdp": {"k": 20, "frame_rate": 50.0},
    "ulm": {"k": 20},
    "gslm_ulm": {"k": 50},
    "ellav": {"k": 20, "frame_rate": 50.0, "num_codes": 64},
    "synthesizer": {"k": 20, "frame_rate": 50.0, "sample_rate": 24000},
    "vocoder": {"k": 9, "frame_rate": 800.0, "sample_rate": 16000},
    "wavtokenizer": {"frame_rate": 40.0, "sample_rate": 24000, "num_codes": 64, "num_codebooks": 1},
    "speechtokenizer": {"frame_rate": 800.0, "sample_rate": 16000, "num_codes": 32, "num_codebooks": 3},
    "soundstream": {"frame_rate": 100.0, "sample_rate": 600, "num_codes": 16, "num_codebooks": 3},
}


@pytest.mark.parametrize("name", RATES)
def test_sizes_and_rates_have_one_name(name, made):
    assert {attribute: getattr(made[name], attribute) for attribute in RATES[name]} == RATES[name]
