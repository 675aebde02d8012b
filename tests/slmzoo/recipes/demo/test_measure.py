"""Figures of the demo: sets of recordings, systems under test, and their error rates."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmcore.units import Units
from slmzoo import hub
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.recipes.demo.measure import held_out, same_sentence, speech, ways, words
from slmzoo.recipes.speech.flite import speak
from tests.reference.programs import needs_flite
from twist import UnitVocoder, VocoderConfig

SAMPLE = Path(__file__).parents[4] / "examples" / "sample.wav"


def test_held_out_sentences_are_of_the_other_voices_or_of_the_reference(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "test.tsv").write_text("test-000-0\tOne.\ntest-000-1\tOne.\ntest-000\tOne.\n")
    for voice, name in (("h000", "test-000-0"), ("h001", "test-000-1"), ("joe", "test-000")):
        (tmp_path / "wavs" / "test" / voice).mkdir(parents=True)
        audio.write(tmp_path / "wavs" / "test" / voice / f"{name}.wav", torch.zeros(1, 100), 16000)
    assert list(held_out(tmp_path, "test")) == ["test-000-0", "test-000-1"]
    assert held_out(tmp_path, "test", reference=True) == {
        "test-000": (tmp_path / "wavs" / "test" / "joe" / "test-000.wav", "One.")
    }
    assert list(held_out(tmp_path, "test", most=1)) == ["test-000-0"]


@needs_flite
def test_words_lost_by_a_system_are_counted_with_their_interval(tmp_path):
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("jiwer")
    texts = {"a": "The man is in the house.", "b": "The dog sleeps."}
    for name, text in texts.items():
        speak(text, tmp_path / f"{name}.wav")
    units = Units(torch.tensor([1, 2]), torch.tensor([10, 15]), 50.0)
    systems = {
        "original": lambda wav, sr: (wav, sr, None),
        "half, lambda 0": lambda wav, sr: (wav[:, : wav.shape[1] // 2], sr, units),
    }
    given = {name: (tmp_path / f"{name}.wav", text) for name, text in texts.items()}
    found = speech(given, systems, tmp_path / "out", "pocketsphinx")
    assert found["original"] == {"wer": [0.0, 0.0, 0.0], "cer": [0.0, 0.0, 0.0]}
    half = found["half, lambda 0"]
    assert half["wer"][0] > 0.2
    assert half["wer"][1] <= half["wer"][0] <= half["wer"][2]
    assert half["units_per_second"] == 4.0
    assert half["duration_within_25_percent"] == 0.0
    assert sorted(path.name for path in (tmp_path / "out" / "half-0").iterdir()) == ["a.wav", "b.wav"]


def test_each_stage_is_bypassed_by_one_of_the_systems():
    pipeline = hub.pipeline(zoo="demo", with_ulm=False)
    wav, sr = audio.load(SAMPLE)
    wav = wav[:, :sr]
    torch.manual_seed(0)
    small = {"channels": 16, "rates": (5, 8, 8), "kernels": (11, 16, 16), "dim": 8, "block_kernels": (3,)}
    vocoder = UnitVocoder(VocoderConfig(num_units=200, **small, block_dilations=((1,),))).eval()
    systems = ways(pipeline, vocoder)
    assert list(systems) == [*ways(pipeline), "unit vocoder"]
    assert systems["original"](wav, sr) == (wav, sr, None)
    assert torch.equal(systems["copy"](wav, sr)[0], pipeline.copy(wav, sr).wav)
    spoken, _, units = systems["resynthesis"](wav, sr)
    assert torch.equal(units.framewise(), pipeline.units(wav, sr).framewise())
    assert torch.equal(spoken, pipeline.resynthesize(wav, sr, top_p=0)[0].wav)
    finer = systems["resynthesis, lambda 0"](wav, sr)[2]
    assert len(finer) > len(units)
    beside, rate, same = systems["unit vocoder"](wav, sr)
    assert torch.equal(same.framewise(), units.framewise())
    assert beside.shape[1] / rate == pytest.approx(units.seconds)


@needs_flite
def test_a_sentence_is_nearer_to_itself_by_another_voice(tmp_path):
    texts = ("The man is in the house.", "A small dog sleeps.", "We like warm bread.")
    for i, text in enumerate(texts):
        for voice in ("slt", "rms"):
            speak(text, tmp_path / f"{i}-{voice}.wav", voice)
    pipeline = hub.pipeline(zoo="demo", with_ulm=False, with_speech=False)
    pairs = [(tmp_path / f"{i}-slt.wav", tmp_path / f"{i}-rms.wav") for i in range(3)]
    assert same_sentence(pipeline, pairs, Bootstrap()) == [1.0, 1.0, 1.0]
    (_, a), (_, b), (_, c) = pairs
    wrong = [(one, other) for (one, _), other in zip(pairs, (b, c, a), strict=True)]
    assert same_sentence(pipeline, wrong, Bootstrap())[0] <= 0.5


@needs_flite
@pytest.mark.slow
def test_words_and_non_words_of_the_small_benchmark(tmp_path):
    found = words(hub.pipeline(zoo="demo", with_speech=False), tmp_path, Bootstrap())
    assert found == pytest.approx([0.69, 0.59, 0.79], abs=0.02)
