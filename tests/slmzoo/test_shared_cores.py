"""The demo's models are small: one thread computes them, which a program beside them does not hold up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from mistral_ulm import UnitLM
from slmcore import audio, cores
from slmcore.encoders.waveforms import Windows
from slmcore.layers.transformer import TransformerConfig
from slmcore.units import Units
from slmzoo import hub
from slmzoo.cli import main
from slmzoo.commands.corpus.units import UnitsOf
from slmzoo.commands.files.listing import List
from slmzoo.pipeline import Pipeline

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.wav"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(4), raising=False)
    monkeypatch.setattr(cores, "available", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield 4
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def demo() -> Pipeline:
    return hub.pipeline(zoo="demo")


def watched(module: nn.Module) -> set[int]:
    """The numbers of threads that the module will be computed with."""
    seen: set[int] = set()
    module.register_forward_pre_hook(lambda _module, _inputs: seen.add(torch.get_num_threads()))
    return seen


@pytest.mark.parametrize("weights", [None, "int8"])
def test_units_scores_and_speech_take_one_thread_and_leave_the_number(many, weights):
    try:
        pipeline = hub.pipeline(zoo="demo", weights=weights)
    except RuntimeError as error:
        pytest.skip(str(error))
    assert pipeline.ulm is not None and pipeline.synthesizer is not None
    parts = {
        "encoder": pipeline.encoder.input_proj,
        "language model": pipeline.ulm.transformer.norm,
        "acoustic model": pipeline.synthesizer.ellav.transformer.norm,
        "codec": pipeline.synthesizer.codec.decoder,
    }
    seen = {name: watched(part) for name, part in parts.items()}
    wav, rate = audio.load(SAMPLE)
    units = pipeline.units(wav[:, : rate // 2], rate)
    pipeline.loglikelihood(units)
    pipeline.ulm.generate([units], 2)
    pipeline.synthesizer.speak([units.units])
    assert seen == {name: {1} for name in parts}
    assert torch.get_num_threads() == many


def test_the_codec_encodes_a_syllable_with_one_thread_and_a_sentence_with_all(many, demo):
    assert demo.synthesizer is not None
    codec = demo.synthesizer.codec
    seen = watched(codec.encoder)
    wav, rate = audio.load(SAMPLE)
    codec.encode(wav[:, : rate // 20], rate)
    assert seen == {1}
    seen.clear()
    codec.encode(wav, rate)
    assert seen == {many}


def test_windows_of_long_speech_take_one_thread(many, demo, monkeypatch):
    monkeypatch.setattr(demo.encoder, "windows", Windows(whole=1.0, window=0.5, context=0.1))
    seen = watched(demo.encoder.input_proj)
    demo.encoder.features(*audio.load(SAMPLE), demo.operating_point.layer)
    assert seen == {1}


def test_an_interrupted_generation_gives_the_number_back(many, demo):
    def interrupt(_module: nn.Module, _inputs: object) -> None:
        raise KeyboardInterrupt

    assert demo.ulm is not None
    handle = demo.ulm.transformer.norm.register_forward_pre_hook(interrupt)
    units = Units(torch.tensor([1, 2]), torch.tensor([1, 1]), 50.0)
    try:
        for run in (lambda: demo.ulm.generate([units], 3), lambda: demo.loglikelihood(units)):
            with pytest.raises(KeyboardInterrupt):
                run()
            assert torch.get_num_threads() == many
    finally:
        handle.remove()


def test_a_wide_model_decodes_and_scores_with_all_threads(many):
    config = TransformerConfig(
        dim=1024, hidden_dim=2048, n_layers=1, head_dim=64, n_heads=16, n_kv_heads=16, vocab_size=21
    )
    model = UnitLM(config).eval()
    seen = watched(model.transformer.norm)
    model.generate([[1, 2]], 2)
    model.loglikelihood(torch.tensor([0, 1, 2]))
    assert seen == {many}


def test_commands_read_and_write_with_one_thread(many, tmp_path):
    command = UnitsOf(inputs=[str(SAMPLE)], zoo="demo", jsonl=tmp_path / "lines.jsonl")
    assert command.for_each(lambda _path, _wav, _rate: {"threads": torch.get_num_threads()}) == 0
    assert json.loads((tmp_path / "lines.jsonl").read_text())["threads"] == 1
    assert torch.get_num_threads() == many


def test_commands_stay_within_the_quota_of_a_container(many, monkeypatch):
    seen: list[int] = []
    monkeypatch.setattr(List, "run", lambda _self: seen.append(torch.get_num_threads()) or 0)
    assert main(["list"]) == 0
    monkeypatch.setattr(cores, "available", lambda: 2)
    assert main(["list"]) == 0
    assert seen == [many, 2]
    assert torch.get_num_threads() == many
