"""USLM as text to speech: from a zoo of small files through torch.hub and `slmzoo speak`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from slmcore import audio
from slmcore.errors import CheckpointError
from slmcore.files import registry as table
from slmcore.roles import TextToSpeech
from slmzoo import cli, hub
from slmzoo.commands.speech.speak import Speak
from slmzoo.convert import convert
from slmzoo.text_to_speech import USLMSpeech
from speechtokenizer.uslm import PhoneTokenizer, espeak, load
from tests.reference import goldens
from tests.reference.uslm import SYMBOLS, tiny, zoo

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo(tmp_path_factory.mktemp("mine"), tiny())


def entry_point(**options: Any) -> Any:
    given: dict[str, Any] = {"source": "local", "trust_repo": True, "zoo": "mine"}
    return torch.hub.load(str(ROOT), "uslm", **given, **options)


@pytest.fixture
def tts(registry: Path) -> USLMSpeech:
    return entry_point(registry=registry)


@pytest.fixture
def prompt() -> tuple[torch.Tensor, int]:
    wav, sr = goldens.speech()
    return wav[:, :6400], sr


needs_espeak = pytest.mark.skipif(not espeak.is_available(), reason="phonemizer or espeak-ng is not installed")


@needs_espeak
def test_text_is_spoken_after_the_prompts_text(tts, prompt):
    (spoken,) = tts.say("Two steps.", *prompt, prompt_text="Hello", temperature=0)
    phones = espeak.phones_of("Hello Two steps.")
    codes = tts.codec.encode_wav(*prompt)
    wanted = tts.uslm.generate(PhoneTokenizer(SYMBOLS).encode(phones), codes, temperature=0)
    assert spoken.codes.tolist() == wanted.codes[0].tolist()
    assert torch.equal(spoken.wav, tts.codec.decode_codes(wanted))
    assert spoken.finished == (len(wanted) < 16 * (len(phones) + 2) + 1)
    assert (spoken.sample_rate, spoken.frame_rate) == (16000, 50.0)
    (alone,) = tts.say("Two steps.", *prompt, temperature=0)
    assert alone.codes.tolist() != spoken.codes.tolist()


@needs_espeak
def test_sample_i_is_that_of_seed_plus_i_and_a_second_channel_counts(tts, prompt):
    wav, sr = prompt
    two = tts.say("Yes.", wav, sr, num_samples=2, seed=5, temperature=0.9, top_k=20, top_p=0.9)
    (second,) = tts.say("Yes.", wav, sr, seed=6, temperature=0.9, top_k=20, top_p=0.9)
    assert torch.equal(two[1].wav, second.wav)
    assert two[0].codes.tolist() != two[1].codes.tolist()
    stereo = torch.cat([wav, torch.zeros_like(wav)])
    (half,) = tts.say("Yes.", stereo, sr, seed=6)
    (same,) = tts.say("Yes.", wav / 2, sr, seed=6)
    assert torch.equal(half.wav, same.wav)


@needs_espeak
@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("", {}, "`text` must be words that can be spoken, but is ''"),
        ("?!", {}, "words that can be spoken"),
        ("Yes.", {"prompt_text": "..."}, "words that can be spoken, but is '...'"),
        ("Jaw", {}, "symbols of the table, but is 'dʒ'"),
        ("Yes.", {"num_samples": 0}, "num_samples"),
        ("Yes.", {"temperature": -1.0}, "temperature"),
        ("Yes.", {"top_p": 2.0}, "top_p"),
        ("Yes.", {"top_k": 0}, "top_k"),
    ],
)
def test_what_cannot_be_spoken_is_named(tts, prompt, text, change, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        tts.say(text, *prompt, **change)


@needs_espeak
def test_a_prompt_shorter_than_a_frame_is_refused(tts, prompt):
    wav, sr = prompt
    assert tts.say("Yes.", wav[:, :320], sr, top_k=1)
    with pytest.raises(ValueError, match=r"20 ms|320 samples"):
        tts.say("Yes.", wav[:, :319], sr)


@needs_espeak
def test_modes_that_leave_the_prompts_text_out_want_it(tmp_path, prompt):
    model = tiny(prefix_mode=2)
    tts = USLMSpeech(model, hub.codec(zoo="mine", registry=zoo(tmp_path, model)))
    assert tts.say("Yes.", *prompt, prompt_text="No.", top_k=1)
    with pytest.raises(ValueError, match="prompt_text_length"):
        tts.say("Yes.", *prompt)


def test_it_plays_its_role(tts):
    role: TextToSpeech = tts
    assert isinstance(role, TextToSpeech)


def test_a_codec_of_other_sizes_is_refused(registry):
    codec = hub.codec(zoo="mine", registry=registry)
    with pytest.raises(ValueError, match="writes 3 codebooks of 64 codes, but the codec has 4 of 64"):
        USLMSpeech(tiny(levels=3), codec)
    with pytest.raises(ValueError, match="writes 4 codebooks of 65 codes"):
        USLMSpeech(tiny(size=65), codec)
    model = tiny()
    model.tokenizer = None
    with pytest.raises(ValueError, match="Give `symbols`"):
        USLMSpeech(model, codec)


def test_published_files_have_their_phones_in_a_row_of_their_own(tmp_path, registry):
    published: Any = hub.text_to_speech(zoo="mine", registry=zoo(tmp_path, tiny(), as_published=True))
    ours: Any = hub.text_to_speech(zoo="mine", registry=registry)
    # k2 always adds a symbol for nothing.
    assert published.tokenizer.symbols == PhoneTokenizer([*SYMBOLS, "<eps>"]).symbols
    state = published.uslm.state_dict()
    assert all(torch.equal(state[name], value) for name, value in ours.uslm.state_dict().items())
    assert published.uslm.config.num_codebooks == 4


def test_a_checkpoint_brings_its_phones_or_is_given_them(tmp_path, registry):
    zoo(tmp_path, tiny(), as_published=True)
    file, symbols = tmp_path / "uslm" / "USLM.pt", tmp_path / "phones.k2symbols"
    options: dict[str, Any] = {"registry": registry, "checkpoint": file}
    with pytest.raises(ValueError, match="table of phones"):
        entry_point(**options)
    given = entry_point(symbols=symbols, **options)
    symbols.rename(file.with_name("unique_text_tokens.k2symbols"))
    codec = tmp_path / "codec" / "SpeechTokenizer.pt"
    beside = entry_point(codec_checkpoint=codec, **options)
    assert given.tokenizer.symbols == beside.tokenizer.symbols
    assert convert(file, tmp_path / "made.safetensors") == "uslm"
    made = load(tmp_path / "made.safetensors")
    assert made.tokenizer is not None
    assert made.tokenizer.to_dict() == beside.tokenizer.to_dict()


def test_damaged_tables_of_phones_are_named(tmp_path):
    model = tiny()
    with pytest.raises(ValueError, match="at most 64 ids"):
        type(model)(model.config, PhoneTokenizer(map(chr, range(100, 165))))
    for wrong in ({"symbols": "ab", "language": "en-us"}, {"symbols": ["a"]}, {"symbols": [1], "language": "en-us"}):
        checkpoint = model.checkpoint()
        with pytest.raises(CheckpointError, match="symbols"):
            type(model).from_checkpoint(type(checkpoint)(**{**vars(checkpoint), "tokenizer": wrong}))


def test_the_published_zoo_has_uslm_and_its_phones():
    rows = {row.kind: row for row in table.rows("speechtokenizer") if row.kind.startswith("uslm")}
    assert rows["uslm"].file == "USLM.pt"
    assert rows["uslm_symbols"].file == "unique_text_tokens.k2symbols"
    assert {row.variant for row in rows.values()} == {"hubert_avg"}


def test_a_missing_phonemizer_is_named_with_its_remedy(monkeypatch):
    espeak._backend.cache_clear()
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    with pytest.raises(ImportError, match=r"phonemizer .*pip install 'slmzoo\[phonemes\]'"):
        espeak.phones_of("Yes.", "en-us")
    assert not espeak.is_available()


@needs_espeak
def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="a voice of espeak-ng"):
        espeak.phones_of("Yes.", "tlh-x")


def run(registry: Path, *arguments: object) -> int:
    return cli.main(["speak", *map(str, arguments), "--zoo", "mine", "--registry", str(registry), "--json"])


@needs_espeak
def test_the_command_writes_wavs_named_after_their_texts(capsys, registry, tmp_path, tts, prompt):
    audio.write(tmp_path / "voice.wav", *prompt)
    options = ("--prompt", tmp_path / "voice.wav", "--prompt-text", "Hello", "--out", tmp_path / "out")
    assert run(registry, "Two steps.", "Two steps?", "Yes.", *options, "--num-samples", 2, "--seed", 3) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(row["wavs"][1]).name for row in rows] == ["two-steps-2.wav", "two-steps-2-2.wav", "yes-2.wav"]
    wanted = tts.say("Two steps?", *audio.load(tmp_path / "voice.wav"), prompt_text="Hello", num_samples=2, seed=3)
    for file, speech, finished in zip(rows[1]["wavs"], wanted, rows[1]["finished"], strict=True):
        made, rate = audio.load(file)
        torch.testing.assert_close(made, speech.wav.clamp(-1, 1), atol=1e-3, rtol=0)
        assert (rate, finished) == (16000, speech.finished)
    assert rows[0]["phones"] == ["t", "uː", "_", "s", "t", "ɛ", "p", "s", "."]  # noqa: RUF001
    assert (rows[0]["sample_rate"], rows[0]["zoo"], rows[0]["text"]) == (16000, "mine", "Two steps.")


@needs_espeak
def test_a_text_that_fails_does_not_stop_the_others(capsys, registry, tmp_path, prompt):
    audio.write(tmp_path / "voice.wav", *prompt)
    assert run(registry, "?!", "Yes.", "--prompt", tmp_path / "voice.wav", "--out", tmp_path, "--temperature", 0) == 1
    output = capsys.readouterr()
    assert [json.loads(line)["text"] for line in output.out.splitlines()] == ["Yes."]
    assert "slmzoo: `text` must be words that can be spoken, but is '?!'" in output.err


def test_a_system_without_text_to_speech_is_refused_by_name(capsys, tmp_path, prompt):
    audio.write(tmp_path / "voice.wav", *prompt)
    assert cli.main(["speak", "Yes.", "--prompt", str(tmp_path / "voice.wav"), "--zoo", "demo"]) == 2
    assert "The system dp-slm of the zoo 'demo' has no text to speech." in capsys.readouterr().err


def test_a_person_reads_what_was_spoken_where(tmp_path):
    command = Speak(texts=["Yes."], prompt=tmp_path / "voice.wav")
    row = {"text": "word " * 20, "prompt": "voice.wav", "wavs": ["a.wav", "b.wav"], "wav_seconds": [1.0, 16.02]}
    output = command.line({**row, "finished": [True, False]})
    assert output.endswith("…: in the voice of voice.wav as a.wav (1.0 s), b.wav (16.0 s, incomplete)")
    assert output.index("…") == 39


def test_a_silent_or_missing_prompt_is_refused(capsys, registry, tmp_path):
    audio.write(tmp_path / "silent.wav", torch.zeros(1, 16000), 16000)
    for name, status in {"silent.wav": 2, "missing.wav": 1}.items():
        assert run(registry, "Yes.", "--prompt", tmp_path / name) == status
        assert name in capsys.readouterr().err
