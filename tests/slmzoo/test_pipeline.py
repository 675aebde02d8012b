from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slmcore.units import OperatingPoint, Units
from slmzoo import hub
from slmzoo.ellav_synthesizer import EllaVSynthesizer
from slmzoo.pipeline import Continuation, Pipeline, Speech
from slmzoo.systems import dp_slm
from tests.reference import tiny_zoo


def test_units_are_what_the_parts_give(pipeline, speech):
    units = pipeline.units(*speech)
    features = pipeline.encoder.features(*speech, layer=tiny_zoo.LAYER)
    _, framewise = pipeline.quantizer(features)
    assert torch.equal(units.framewise(), framewise)
    point = OperatingPoint(zoo="tiny", encoder="tiny", layer=3, k=20, lmbda=4.0, num_neighbors=6)
    assert units.operating_point == point
    assert units.frame_rate == 50


def test_stereo_is_averaged(pipeline, speech):
    wav, sr = speech
    stereo = torch.cat([wav * 0.5, wav * 1.5])
    assert torch.equal(pipeline.units(stereo, sr).units, pipeline.units(wav, sr).units)


def test_loglikelihood_of_units_and_of_their_wav(pipeline, speech):
    units = pipeline.units(*speech)
    value = pipeline.ulm.loglikelihood(pipeline.tokenizer.encode(units.units))
    assert pipeline.loglikelihood(units) == value
    assert pipeline.loglikelihood(units.units.tolist()) == value
    assert pipeline.loglikelihood(wav=speech[0], sr=speech[1]) == pytest.approx(value)
    for bad in ({}, {"units": units, "wav": speech[0]}, {"wav": speech[0]}):
        with pytest.raises(ValueError, match="either"):
            pipeline.loglikelihood(**bad)
    with pytest.raises(ValueError, match="at least one"):
        pipeline.loglikelihood([])
    with pytest.raises(ValueError, match=r"0\.\.19"):
        pipeline.loglikelihood([20])


def test_resynthesis_is_units_then_ellav_then_codec(pipeline, speech):
    (spoken,) = pipeline.resynthesize(*speech, temperature=0)
    names = [f"u{u}" for u in pipeline.units(*speech).units.tolist()]
    codes, finished = pipeline.synthesizer.ellav.generate([names], 5000, 10, temperature=0)
    wav, rate = pipeline.synthesizer.codec.decode(codes[0][None, None])
    assert torch.equal(spoken.codes, codes[0])
    assert finished[0]
    assert spoken.sample_rate == rate
    torch.testing.assert_close(spoken.wav, wav)
    assert spoken.seconds == pytest.approx(len(codes[0]) / 40)


def test_samples_differ_and_a_seed_repeats_them(pipeline, speech):
    wav, sr = speech[0][:, :16000], speech[1]
    three = pipeline.resynthesize(wav, sr, 3, seed=1)
    assert len({tuple(s.codes.tolist()) for s in three}) == 3
    again = pipeline.resynthesize(wav, sr, 2, seed=1)
    assert all(torch.equal(a.codes, b.codes) for a, b in zip(again, three, strict=False))
    with pytest.raises(ValueError, match="num_samples"):
        pipeline.resynthesize(wav, sr, 0)


def test_running_out_of_steps_is_told(pipeline, speech):
    (spoken,) = pipeline.resynthesize(*speech, max_tokens=1, temperature=0)
    assert not spoken.finished
    assert spoken.empty == (len(spoken.codes) == 0)


def test_a_missing_part_is_named(registry, speech):
    bare = hub.pipeline(zoo="tiny", registry=registry, with_ulm=False, with_speech=False, lmbda=1.5)
    assert bare.operating_point.lmbda == 1.5
    assert len(bare.units(*speech)) > 0
    with pytest.raises(ValueError, match="language model"):
        bare.loglikelihood([1])
    with pytest.raises(ValueError, match="synthesiser"):
        bare.resynthesize(*speech)


def test_parts_that_do_not_belong_together_are_refused(pipeline):
    parts = {name: getattr(pipeline, name) for name in ("encoder", "quantizer", "ulm", "tokenizer", "synthesizer")}
    Pipeline(**parts)
    narrow = dp_slm.quantizer(torch.randn(20, 63), 1.0)
    with pytest.raises(ValueError, match="feature width"):
        Pipeline(**{**parts, "quantizer": narrow})
    more = dp_slm.quantizer(torch.randn(21, 64), 1.0)
    with pytest.raises(ValueError, match="number of units"):
        Pipeline(**{**parts, "quantizer": more})
    other = dp_slm.quantizer(pipeline.quantizer.codebook, 9.0)
    other.operating_point = replace(pipeline.operating_point, lmbda=9.0)
    with pytest.raises(ValueError, match=r"lmbda: 9.0 != 4.0"):
        Pipeline(**{**parts, "quantizer": other})
    unknown = dp_slm.quantizer(pipeline.quantizer.codebook, 9.0)
    assert Pipeline(**{**parts, "quantizer": unknown}).operating_point is None


def test_another_codec_is_refused(pipeline, monkeypatch):
    codec = pipeline.synthesizer.codec
    monkeypatch.setattr(codec, "config", replace(codec.config, strides=(5, 5, 4, 4), n_fft=1600))
    with pytest.raises(ValueError, match="60"):
        EllaVSynthesizer(pipeline.synthesizer.ellav, codec)


@pytest.mark.parametrize("weights", ["int8", "int8-weight-only"])
def test_weights_of_a_byte_stay_near(registry, speech, pipeline, weights):
    small = hub.pipeline(zoo="tiny", registry=registry, weights=weights)
    units = pipeline.units(*speech)
    assert torch.equal(small.units(*speech).units, units.units)
    exact, rounded = pipeline.loglikelihood(units), small.loglikelihood(units)
    assert exact != rounded == pytest.approx(exact, rel=0.02)
    assert small.resynthesize(*speech, top_p=0)[0].seconds > 0


def test_units_that_are_known_are_not_computed_again(pipeline, speech):
    units = pipeline.units(*speech)
    spoken = pipeline.resynthesize(*speech, top_p=0)[0]
    assert torch.equal(pipeline.resynthesize(*speech, top_p=0, units=units)[0].codes, spoken.codes)
    fewer = Units(units.units[:3], units.durations[:3], units.frame_rate)
    assert pipeline.resynthesize(*speech, top_p=0, units=fewer)[0].durations.numel() <= 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs_and_stays_near(registry, speech, dtype):
    pipeline = hub.pipeline(zoo="tiny", registry=registry)
    wav, sr = speech[0][:, :16000], speech[1]
    exact = pipeline.units(wav, sr).framewise()
    value = pipeline.loglikelihood([3, 1, 4, 1, 5])
    pipeline = pipeline.to(dtype)
    assert pipeline.quantizer.codebook.dtype == torch.float32
    got = pipeline.units(wav, sr).framewise()
    assert (got == exact).float().mean() > 0.8
    assert pipeline.loglikelihood([3, 1, 4, 1, 5]) == pytest.approx(value, rel=0.02)
    (spoken,) = pipeline.resynthesize(wav, sr, temperature=0)
    assert spoken.wav.dtype == torch.float32
    assert torch.isfinite(spoken.wav).all()


def test_continuation_joined_and_alone(pipeline, speech):
    wav, sr = speech
    options = {"max_new_units": 12, "seed": 2, "num_samples": 2}
    joined = pipeline.continue_speech(wav, sr, 1.0, **options)
    alone = pipeline.continue_speech(wav, sr, 1.0, joined=False, **options)
    prompt = pipeline.units(wav[:, :sr], sr).units
    for a, b in zip(joined, alone, strict=True):
        assert torch.equal(a.prompt, prompt)
        assert torch.equal(a.units, b.units)
        assert len(a.units) == len(a.log_probs) <= 12
        cut_off = a.speech.wav.shape[1] - b.speech.wav.shape[1]
        assert cut_off == 600 * int(a.speech.durations[: len(prompt)].sum()) > 0
        assert torch.equal(a.speech.wav[:, cut_off:], b.speech.wav)
    assert not torch.equal(joined[0].units, joined[1].units)


def test_continuation_is_what_the_language_model_generates(pipeline, speech):
    wav, sr = speech
    (made,) = pipeline.continue_speech(wav, sr, 1.0, max_new_units=9, temperature=0.7, top_k=5, seed=4)
    units = pipeline.ulm.generate([made.prompt], 9, temperature=0.7, top_k=5, seed=4).units[0]
    assert torch.equal(made.units, units)


def test_continuation_from_nothing(pipeline):
    (made,) = pipeline.continue_speech(max_new_units=8, seed=1)
    assert len(made.prompt) == 0
    assert 1 <= len(made.units) <= 8
    assert torch.isfinite(made.speech.wav).all()


def test_continuation_refuses(pipeline, speech):
    with pytest.raises(ValueError, match="both"):
        pipeline.continue_speech(speech[0])
    with pytest.raises(ValueError, match="prompt_seconds"):
        pipeline.continue_speech(*speech, -1)
    with pytest.raises(ValueError, match="max_new_units"):
        pipeline.continue_speech(*speech, 1.0, max_new_units=0)


@pytest.fixture
def ending_at_once(registry):
    """A pipeline whose language model would end each utterance before its first unit."""
    made = hub.pipeline(zoo="tiny", registry=registry)
    towards_the_end = torch.nn.functional.one_hot(torch.tensor(0), tiny_zoo.K + 1) * 1e4
    made.ulm.transformer.output.register_forward_hook(lambda _, __, logits: logits + towards_the_end)
    return made


def test_a_continuation_from_nothing_is_never_empty(ending_at_once, speech):
    for seed in range(3):
        (made,) = ending_at_once.continue_speech(max_new_units=8, seed=seed)
        assert (len(made.units), made.finished) == (1, True)
    (after,) = ending_at_once.continue_speech(speech[0], speech[1], 0.5, max_new_units=8)
    assert (len(after.units), after.finished) == (0, True)


def test_a_pipeline_comes_in_evaluation_mode(registry):
    made = hub.pipeline(zoo="tiny", registry=registry)
    assert [name for name, module in made.named_modules() if module.training] == []
    value = made.loglikelihood([3, 1, 4, 1, 5])
    was = made.training
    made.eval()
    made.train(was)
    assert made.loglikelihood([3, 1, 4, 1, 5]) == value
    parts = {name: getattr(made, name) for name in ("encoder", "quantizer", "ulm", "tokenizer", "synthesizer")}
    assert not Pipeline(**parts).training
    assert not dp_slm.quantizer(torch.randn(3, 2), 0).training
    assert not dp_slm.empty_quantizer(3, 2, 0, None).training


def test_many_sequences_may_be_plain_lists_and_tensors(pipeline):
    units = Units(torch.tensor([3, 1]), torch.tensor([2, 9]), 50.0)
    given = [units, [3, 1], torch.tensor([3, 1], dtype=torch.uint8), [4]]
    one = [pipeline.loglikelihood(each) for each in given]
    assert pipeline.loglikelihoods(given) == pytest.approx(one)
    assert pipeline.loglikelihoods(given, "mean")[0] == pytest.approx(one[0] / 2)


def test_what_is_returned_can_be_trained_on(pipeline, speech):
    """No inference tensors: torch refuses those in anything that has gradients."""
    units = pipeline.units(*speech)
    made = pipeline.ulm.generate([units], 5, min_new_units=5)
    (per_token,) = pipeline.ulm.loglikelihoods([pipeline.tokenizer.encode(units.units)], per_token=True)
    (spoken,) = pipeline.resynthesize(*speech)
    tensors = [units.units, units.durations, *made.units, *made.log_probs, per_token, spoken.codes, spoken.durations]
    assert not any(tensor.is_inference() for tensor in [*tensors, spoken.wav])
    torch.nn.Embedding(20, 3)(units.units).sum().backward()


def test_speech_is_shown_in_a_line_without_its_samples():
    spoken = Speech(torch.zeros(1, 36000), 24000, torch.zeros(60, dtype=torch.int64), True, torch.ones(20), 40.0)
    assert repr(spoken) == "Speech(1.50 s at 24000 Hz, 60 codec tokens)"
    cut = replace(spoken, wav=spoken.wav[:, :6000], finished=False)
    assert repr(cut) == "Speech(0.25 s at 24000 Hz, 60 codec tokens, not finished)"
    more = Continuation(spoken, torch.ones(20), torch.ones(7), torch.zeros(7), finished=True)
    assert repr(more) == f"Continuation(20 units continued by 7, ended: {spoken!r})"
    assert "not ended" in repr(replace(more, finished=False))
