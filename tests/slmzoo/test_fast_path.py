"""The demo pipeline with the fast path gives what it gives without."""

from __future__ import annotations

import pytest
import torch

from slmcore import audio
from slmcore.layers.fast import switch
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from tests.reference import goldens

CASES = [("cpu", "rehearse", torch.float32)]
GPU = [pytest.param("cuda", "1", dtype, marks=pytest.mark.gpu) for dtype in (torch.float32, torch.bfloat16)]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return hub.pipeline(zoo="demo")


@pytest.mark.parametrize(("device", "mode", "dtype"), [*CASES, *GPU])
def test_units_scores_and_speech_stay(pipeline: Pipeline, device: str, mode: switch.Mode, dtype: torch.dtype) -> None:
    wav, sr = goldens.speech()
    wav = audio.mono(wav)
    expected = pipeline.units(wav, sr)
    (scored,) = pipeline.ulm.logprobs([expected])
    spoken = pipeline.synthesizer.speak([expected], top_p=0.0)[0]
    made = pipeline.to(device).to(dtype)
    with switch.using(mode):
        units = made.units(wav, sr)
        (logprobs,) = made.ulm.logprobs([expected])
        speech = made.synthesizer.speak([expected], top_p=0.0)[0]
    pipeline.to("cpu").to(torch.float32)
    half = dtype == torch.bfloat16
    same = units.framewise().cpu() == expected.framewise()
    assert float(same.float().mean()) >= (0.99 if half else 0.995)
    assert float(logprobs.sum()) == pytest.approx(float(scored.sum()), rel=1e-2 if half else 1e-4)
    if not half:
        assert speech.codes.tolist() == spoken.codes.tolist()
