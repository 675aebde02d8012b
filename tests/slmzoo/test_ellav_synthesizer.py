"""Long speech keeps its length, and speech that was lost is told."""

from __future__ import annotations

import pytest
import torch

from slmcore.files.checkpoint import save
from slmcore.files.zoofile import add_row
from slmcore.speech import Speech
from slmcore.units import Units
from slmzoo import hub
from slmzoo.pipeline import Pipeline
from slmzoo.segments import codec_tokens, cut, segments_of
from slmzoo.systems import dp_slm


@pytest.fixture
def impatient(registry):
    """A pipeline whose acoustic model has learnt from two seconds at most."""
    made = hub.pipeline(zoo="tiny", registry=registry)
    made.synthesizer.ellav.longest_seconds = 2.0
    return made


def of_durations(*durations: int) -> Units:
    return Units(torch.arange(len(durations)) + 3, torch.tensor(durations), 50.0)


def stretches_of(pipeline: Pipeline, wav: torch.Tensor, sr: int) -> list[tuple[int, int]]:
    return segments_of(wav, sr, pipeline.synthesizer.longest_segment)


def lengths(pipeline: Pipeline, wav: torch.Tensor, sr: int) -> list[float]:
    return [(b - a) / sr for a, b in stretches_of(pipeline, wav, sr)]


def test_the_longest_segment_is_the_acoustic_models(pipeline, impatient, speech):
    assert pipeline.synthesizer.ellav.longest_seconds is None
    assert (pipeline.synthesizer.longest_segment, impatient.synthesizer.longest_segment) == (30.0, 2.0)
    assert stretches_of(pipeline, *speech) == [(0, speech[0].shape[1])]
    assert pipeline.is_short(*speech)
    assert not impatient.is_short(*speech)
    assert len(lengths(impatient, *speech)) >= 2
    assert max(lengths(impatient, *speech)) <= 2
    just = speech[0][:, : 2 * speech[1]]
    assert stretches_of(impatient, just, speech[1]) == [(0, 2 * speech[1])]


def test_short_speech_is_one_segment_with_the_durations_that_the_model_finds(pipeline, speech):
    names = [f"u{unit}" for unit in pipeline.units(*speech).units.tolist()]
    codes, _ = pipeline.synthesizer.ellav.generate([names], 5000, 10, temperature=0)
    assert torch.equal(pipeline.resynthesize(*speech, temperature=0)[0].codes, codes[0])


def test_long_speech_is_encoded_and_spoken_segment_by_segment(impatient, speech):
    wav, sr = speech
    segments = [impatient.units(wav[:, a:b], sr) for a, b in stretches_of(impatient, wav, sr)]
    names = [[f"u{unit}" for unit in units.units.tolist()] for units in segments]
    wanted = [codec_tokens(units, 40.0) for units in segments]
    codes, _ = impatient.synthesizer.ellav.generate(names, 5000, 10, temperature=0, durations=wanted)
    (spoken,) = impatient.resynthesize(wav, sr, temperature=0)
    assert torch.equal(spoken.codes, torch.cat(codes))
    assert torch.equal(spoken.durations, torch.cat(wanted))
    assert spoken.finished
    assert spoken.seconds == pytest.approx(wav.shape[1] / sr, rel=0.02)
    assert spoken.seconds == pytest.approx(spoken.wanted_seconds, abs=0.03 * len(segments))


def test_long_pauses_come_back_as_silence(impatient, speech):
    wav, sr = speech[0][:, :24000], speech[1]
    wav = torch.cat([torch.zeros(1, 24000), wav, torch.zeros(1, 48000), wav, torch.zeros(1, 40000)], 1)
    (start, _), *_, (_, end) = stretches = stretches_of(impatient, wav, sr)
    assert start > 0.9 * 24000 - 4000
    assert end < wav.shape[1] - 30000
    (spoken,) = impatient.resynthesize(wav, sr, temperature=0)
    assert spoken.seconds == pytest.approx(wav.shape[1] / sr, abs=0.03 * len(stretches))
    assert spoken.wanted_seconds == pytest.approx(wav.shape[1] / sr, abs=0.03 * len(stretches))
    assert len(spoken.codes) * 600 < spoken.wav.shape[1] - 4 * spoken.sample_rate
    rate = spoken.sample_rate
    for quiet in (spoken.wav[:, : rate * start // sr], spoken.wav[:, -int(rate * (wav.shape[1] - end) / sr) :]):
        assert quiet.shape[1] > rate
        assert float(quiet.abs().max()) == 0


def test_units_that_are_known_are_cut(impatient, speech):
    wav, sr = speech
    whole = impatient.units(wav, sr)
    (spoken,) = impatient.resynthesize(wav, sr, units=whole, temperature=0)
    stretches = [(a / sr, b / sr) for a, b in stretches_of(impatient, wav, sr)]
    segments = cut(whole, stretches)
    assert torch.equal(spoken.durations, torch.cat([codec_tokens(units, 40.0) for units in segments]))


def test_samples_of_long_speech_keep_their_own_segments(pipeline):
    """Two segments, two samples: sample i holds the i-th rendering of the first segment and of the second."""
    sr = 16000
    wav = 0.1 * torch.randn(1, 45 * sr, generator=torch.Generator().manual_seed(0))
    wav[:, 20 * sr : 21 * sr] = 0
    units = Units(torch.tensor([3, 7, 5, 1]), torch.tensor([500, 525, 600, 625]), 50.0)  # the second ends at 20.5 s
    parts = cut(units, [(a / sr, b / sr) for a, b in stretches_of(pipeline, wav, sr)])
    assert [part.units.tolist() for part in parts] == [[3, 7], [5, 1]]
    codes, _, durations = pipeline.synthesizer.ellav.generate(
        [["u3", "u7"], ["u5", "u1"]] * 2,
        3000,
        10,
        1.0,
        0.8,
        seed=6,
        durations=[codec_tokens(part, 40.0) for part in parts] * 2,
        return_durations=True,
    )
    made = pipeline.resynthesize(wav, sr, 2, units=units, seed=6)
    for i, spoken in enumerate(made):
        assert torch.equal(spoken.codes, torch.cat(codes[2 * i : 2 * i + 2]))
        assert torch.equal(spoken.durations, torch.cat(durations[2 * i : 2 * i + 2]))
        assert spoken.wav.shape[1] == pytest.approx(600 * len(spoken.codes) + 24000 * 0.5, abs=1200)
    assert not torch.equal(made[0].codes, made[1].codes)


def test_durations_can_be_kept_in_short_speech_and_left_to_the_model_in_long(pipeline, impatient, speech):
    (kept,) = pipeline.resynthesize(*speech, temperature=0, keep_durations=True)
    assert torch.equal(kept.durations, codec_tokens(pipeline.units(*speech), 40.0))
    free = impatient.resynthesize(*speech, temperature=0, keep_durations=False)[0]
    assert not torch.equal(free.durations, impatient.resynthesize(*speech, temperature=0)[0].durations)
    with pytest.raises(ValueError, match="durations"):
        pipeline.synthesizer.speak([torch.tensor([1, 2])], keep_durations=True)


def test_a_pause_may_last_longer_than_the_cap(pipeline):
    units = of_durations(20, 150, 20)  # three seconds in one unit
    (spoken,) = pipeline.synthesizer.speak([units], temperature=0, keep_durations=True)
    assert spoken.durations.tolist() == [16, 120, 16]
    assert spoken.finished


@pytest.mark.parametrize(
    ("made", "wanted", "finished"),
    [
        (100, 104, False),  # 2.5 s for 2.08 s
        (100, 105, True),
        (100, 156, True),
        (100, 157, False),  # 2.5 s for 3.14 s
        (5, 11, True),  # 0.125 s for 0.22 s
        (5, 12, False),
    ],
)
def test_speech_is_finished_only_if_it_lasts_as_long_as_its_units(pipeline, monkeypatch, made, wanted, finished):
    """Within 20 % of the units' time or 0.1 s; `made` in codec tokens of 25 ms, `wanted` in frames of 20 ms."""
    codes, durations = torch.zeros(made, dtype=torch.int64), torch.tensor([made - 1, 1])
    monkeypatch.setattr(pipeline.synthesizer.ellav, "generate", lambda *_, **__: ([codes], [True], [durations]))
    (spoken,) = pipeline.synthesizer.speak([of_durations(wanted - 1, 1)])
    assert (spoken.seconds, spoken.wanted_seconds) == (made / 40, wanted / 50)
    assert spoken.finished == finished
    (unknown,) = pipeline.synthesizer.speak([torch.tensor([3, 4])])
    assert (unknown.finished, unknown.wanted_seconds) == (True, None)


def test_a_lost_segment_is_told_of_the_whole(pipeline):
    fine = pipeline.synthesizer.speak([of_durations(20, 30), of_durations(20, 30)], keep_durations=True)
    assert Speech.joined(fine, [0, 0, 0]).finished
    short = pipeline.synthesizer.speak([of_durations(20, 500)], temperature=0)  # a cap of 11 tokens, not 400
    assert not short[0].finished
    together = Speech.joined([*fine, *short], [0, 0.5, 0, 0.25])
    assert not together.finished
    assert together.wanted_seconds == pytest.approx(12.4 + 0.75)
    assert Speech.joined([*fine, *pipeline.synthesizer.speak([torch.tensor([3])])], [0] * 4).wanted_seconds is None


def test_many_segments_are_decoded_some_at_a_time(pipeline, monkeypatch):
    synthesizer, sizes = pipeline.synthesizer, []
    decode = synthesizer.codec.decode_batch
    monkeypatch.setattr(synthesizer.codec, "decode_batch", lambda codes: sizes.append(len(codes)) or decode(codes))
    prompts = [of_durations(3 + i % 5, 4) for i in range(70)]
    spoken = synthesizer.speak(prompts, keep_durations=True, temperature=0)
    assert sizes == [64, 6]
    for i in (0, 4, 63, 64, 69):
        (alone,) = synthesizer.speak([prompts[i]], keep_durations=True, temperature=0)
        assert torch.equal(spoken[i].codes, alone.codes)
        torch.testing.assert_close(spoken[i].wav[0], decode([spoken[i].codes])[0])


def test_what_the_file_says_of_its_longest_segment_counts_before_the_row(registry, tmp_path):
    model = dp_slm.ellav(zoo="tiny", registry=registry)
    assert model.longest_seconds is None
    row = {"kind": "ellav", "variant": "units", "k": 20, "lmbda": 4, "longest_seconds": 9}
    for says, loaded in ((None, 9), (2.5, 2.5)):
        model.longest_seconds = says
        save(tmp_path / "ellav.safetensors", model.checkpoint())
        (tmp_path / "zoo.json").unlink(missing_ok=True)
        add_row(tmp_path / "zoo.json", "tiny", {**row, "file": "ellav.safetensors"})
        assert dp_slm.ellav(zoo="tiny", registry=tmp_path / "zoo.json").longest_seconds == loaded
    assert dp_slm.ellav(zoo="demo").longest_seconds == 4.9
