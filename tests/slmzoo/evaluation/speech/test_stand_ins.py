"""Speaker similarity without weights, and ViSQOL."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.speech import intelligibility
from slmzoo.evaluation.speech.speakers import LongTermSpectrum, SpeakerModel, similarity, speaker_model
from slmzoo.evaluation.speech.speech_scores import measure, require
from tests.reference import goldens


def test_long_term_spectra_do_not_feel_level_and_length():
    wav, sr = goldens.speech()
    model = speaker_model("ltas")
    assert isinstance(model, LongTermSpectrum)
    whole = model.embed(wav, sr)
    assert float(whole.norm()) == pytest.approx(1)
    assert float(whole.sum()) == pytest.approx(0, abs=1e-5)
    assert similarity(whole, model.embed(wav * 0.1, sr)) == pytest.approx(1, abs=1e-4)
    padded = torch.cat([torch.zeros(1, 16000), wav], 1)
    assert similarity(whole, model.embed(padded, sr)) > 0.999
    assert similarity(whole, model.embed(wav[:, : wav.shape[1] // 2], sr)) > 0.9


def test_another_spectrum_is_another_voice():
    wav, sr = goldens.speech()
    model = speaker_model("ltas")
    bright = wav - 0.97 * torch.nn.functional.pad(wav, (1, -1))
    noise = goldens.noise(16000, 3)
    assert similarity(model.embed(wav, sr), model.embed(bright, sr)) < 0.8
    assert similarity(model.embed(wav, sr), model.embed(noise, sr)) < 0.1
    assert measure("similarity", name="ltas", device="cpu")(wav, bright, sr) == pytest.approx(
        similarity(model.embed(wav, sr), model.embed(bright, sr))
    )
    assert torch.equal(model.embed(torch.zeros(1, 400), sr), torch.zeros(40))


def test_the_stand_in_needs_no_package_and_names_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    require(["similarity"], "pocketsphinx", "ltas")
    with pytest.raises(ImportError, match="transformers"):
        require(["similarity"], "pocketsphinx")
    assert outside("ltas") == {"name": "ltas"}
    assert not isinstance(speaker_model("ltas"), SpeakerModel)


def test_a_missing_visqol_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "visqol", None)
    with pytest.raises(ImportError, match=r"ViSQOL needs the package visqol .*pip install 'slmzoo\[visqol\]'"):
        require(["visqol"], "pocketsphinx")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("visqol") is None, reason="visqol-python is not installed")
def test_visqol_falls_with_noise():
    wav, sr = goldens.speech()
    noise = goldens.noise(wav.shape[1], 5)
    scores = [intelligibility.visqol(wav, wav + gain * noise, sr) for gain in (0.0, 0.05, 0.5)]
    assert scores[0] == pytest.approx(5, abs=0.01)
    assert scores[0] > scores[1] + 0.5 > scores[2] + 1
    with pytest.raises(ValueError, match="about a second"):
        intelligibility.visqol(wav[:, :3200], wav[:, :3200], sr)
    with pytest.raises(ValueError, match="not time-aligned"):
        intelligibility.visqol(wav, wav[:, :-1600], sr)
