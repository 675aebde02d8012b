"""`slmzoo score`."""

from __future__ import annotations

import pytest
import torch

from slmcore import audio
from tests.reference.command import run

pytestmark = pytest.mark.usefixtures("tiny_zoo")


def test_score(capsys, clip, pipeline):
    expected = pipeline.loglikelihood(wav=audio.load(clip)[0], sr=16000)
    _, (total,), _ = run(capsys, "score", clip, "--zoo", "tiny")
    _, (mean,), _ = run(capsys, "score", clip, "--zoo", "tiny", "--reduction", "mean")
    assert total["loglikelihood"] == pytest.approx(expected)
    assert mean["loglikelihood"] == pytest.approx(expected / total["num_units"])
    assert (total["reduction"], mean["reduction"], total["bos"], total["eos"]) == ("sum", "mean", True, False)


def test_models_can_be_smaller(capsys, clip, monkeypatch):
    exact, rounded, half = (
        run(capsys, "score", clip, "--zoo", "tiny", *more)[1][0]["loglikelihood"]
        for more in ((), ("--weights", "int8"), ("--dtype", "bfloat16"))
    )
    assert len({exact, rounded, half}) == 3
    assert rounded == pytest.approx(exact, rel=0.03)
    assert half == pytest.approx(exact, rel=0.1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    status, _, err = run(capsys, "score", clip, "--zoo", "tiny", "--weights", "int8")
    assert status == 2
    assert "`weights` must be float on CUDA" in err
