"""The demo's corpus on disk: its plan, and flite's files if flite is here."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
import soundfile

from slmzoo.evaluation.speech.asr import unknown_words
from slmzoo.recipes.demo import corpus
from slmzoo.recipes.demo.asr import word_error_rate
from slmzoo.recipes.mini.benchmark import VOICES
from slmzoo.recipes.speech.everyday import MORE, PLAIN
from slmzoo.recipes.speech.flite import speak
from slmzoo.recipes.speech.sentences import sentences, vocabulary, words_of

WIDE = [f"Wide sentence {i}." for i in range(16_000)]
needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@pytest.fixture
def wide(monkeypatch):
    """Numbers in place of sentences of a wide vocabulary, which take a minute to draw."""
    corpus._texts.cache_clear()
    monkeypatch.setattr(corpus, "wide_sentences", lambda n, seed: WIDE[:n])
    yield
    corpus._texts.cache_clear()


@pytest.mark.usefixtures("wide")
def test_plan_counts_rates_and_paths(tmp_path):
    plan = corpus.plan(tmp_path)
    counts = Counter(utterance.path.relative_to(tmp_path / "wavs").parent.as_posix() for utterance in plan)
    words = len(vocabulary())
    test = {f"test/{name}": 100 for name in ("slt", "rms", "awb", "kal16", "slt@1.25", "rms@1.25")}
    assert counts == {
        "train/slt": 15_000 + 16_000,
        "train/rms": 4000 + 3000,
        "train/awb": 4000 + 3000 + 3 * words,
        "train/kal16": 4000 + 3000 + 3 * words,
        "plain/slt": 50,
        "more/slt": 100,
        **test,
    }
    assert len({utterance.path for utterance in plan}) == len(plan)
    rates = [utterance.stretch for utterance in plan if utterance.path.parts[-3] == "train"]
    assert 0.85 <= min(rates) < 0.87
    assert 1.18 < max(rates) <= 1.2
    assert plan == corpus.plan(tmp_path)


@pytest.mark.usefixtures("wide")
def test_voices_share_some_training_sentences(tmp_path):
    spoken: dict[str, set[str]] = {}
    for utterance in corpus.plan(tmp_path):
        if utterance.path.parts[-3] == "train":
            spoken.setdefault(utterance.voice, set()).add(utterance.sentence)
    assert len(set.intersection(*spoken.values())) == 2000 + 3000
    assert len(spoken["slt"] | spoken["kal16"]) == 15_000 + 2000 + 16_000 + len(vocabulary())
    # The words of the small benchmark are asked in voices that training never hears them alone in.
    assert not vocabulary() & (spoken["slt"] | spoken["rms"])
    assert set(VOICES) == {"slt", "rms"}


@needs_flite
def test_flite_speaks_16_khz_and_a_stretch_is_longer(tmp_path):
    speak("The dog sleeps.", tmp_path / "a" / "plain.wav")
    speak("The dog sleeps.", tmp_path / "a" / "slow.wav", "rms", 1.25)
    plain, slow = (soundfile.info(tmp_path / "a" / name) for name in ("plain.wav", "slow.wav"))
    assert (plain.samplerate, plain.channels, plain.subtype) == (16000, 1, "PCM_16")
    assert slow.frames > plain.frames
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["plain.wav", "slow.wav"]


@needs_flite
@pytest.mark.usefixtures("wide")
def test_synthesise_makes_only_what_is_missing(tmp_path, monkeypatch):
    two = [
        corpus.Utterance(path=tmp_path / f"{i}.wav", sentence="A short one.", voice="slt", stretch=1.0)
        for i in range(2)
    ]
    monkeypatch.setattr(corpus, "plan", lambda data, seed: two)
    two[0].path.write_bytes(b"kept")
    corpus.synthesise(tmp_path)
    assert two[0].path.read_bytes() == b"kept"
    assert soundfile.info(two[1].path).samplerate == 16000
    rows = [line.split("\t") for line in (tmp_path / "text" / "test.tsv").read_text().splitlines()]
    assert len(rows) == 100
    assert rows[0][0] == "test-00000"


def test_a_missing_flite_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt install flite"):
        corpus.synthesise(tmp_path)
    with pytest.raises(RuntimeError, match="apt install flite"):
        speak("Hello.", tmp_path / "a.wav")


def test_command_line_needs_a_target():
    with pytest.raises(SystemExit):
        corpus.main([])


def test_the_recogniser_knows_every_word():
    pytest.importorskip("pocketsphinx")
    assert unknown_words(vocabulary()) == []
    assert unknown_words(word for sentence in PLAIN + MORE for word in words_of(sentence)) == []
    assert unknown_words(["zzyzx", "dog"]) == ["zzyzx"]


def test_plain_sentences_are_not_in_training():
    assert len(set(PLAIN + MORE)) == len(PLAIN) + len(MORE)
    assert not set(PLAIN + MORE) & set(sentences("train", 3300))


def test_word_error_rate_needs_wavs(tmp_path):
    pytest.importorskip("jiwer")
    with pytest.raises(ValueError, match="`folder` must be"):
        word_error_rate({"a": "hello"}, tmp_path)


@needs_flite
def test_word_error_rate_counts(tmp_path):
    pytest.importorskip("pocketsphinx")
    speak("The man is in the house.", tmp_path / "a.wav")
    right = {"a": "The man is in the house.", "b": "no such file"}
    assert word_error_rate(right, tmp_path) == {"wer": 0.0, "words": 6, "utterances": 1}
    assert word_error_rate({"a": "Cold fish swim under ice."}, tmp_path)["wer"] >= 1
