from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
import torchaudio

import speechtokenizer
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint
from slmcore.units import Codes
from speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig
from tests.reference.recipe import golden_json, recipe_state, recipe_tensor

CONFIG = SpeechTokenizerConfig(
    strides=(4, 5), n_filters=4, dimension=12, semantic_dimension=6, codebook_size=32, num_codebooks=3
)
PUBLISHED = golden_json("speechtokenizer_small")["variants"]


def small(config: SpeechTokenizerConfig = CONFIG) -> SpeechTokenizer:
    model = SpeechTokenizer(config)
    state = {name: recipe_tensor(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    return SpeechTokenizer.from_checkpoint(Checkpoint(kind="speechtokenizer", config=config.to_dict(), state=state))


MODEL = small()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def random_codes(levels: int, frames: int) -> Codes:
    draw = torch.Generator().manual_seed(frames)
    return Codes(torch.randint(32, (levels, frames), generator=draw), 800.0, 32)


def write(folder: Path, variant: str, config: dict | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    shapes = {k: v for k, v in PUBLISHED[variant]["state_dict"].items() if not k.endswith("inited")}
    torch.save(recipe_state(shapes), folder / "ckpt.dev")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("variant", PUBLISHED)
def test_sizes_are_those_of_config_json_or_else_read_off_the_weights(variant: str, tmp_path: Path):
    config = PUBLISHED[variant]["config"]
    stated = speechtokenizer.load(write(tmp_path / "told", variant, config)).config
    read = speechtokenizer.load(write(tmp_path / "read", variant) / "ckpt.dev").config
    assert stated == read
    assert read.strides == tuple(reversed(config["strides"]))
    assert (read.num_codebooks, read.activation) == (config["n_q"], config["activation"])
    assert (read.residual_layers, read.lstm_layers) == (config["n_residual_layers"], config["lstm_layers"])
    other = speechtokenizer.load(write(tmp_path / "other", variant, config | {"sample_rate": 8000, "dilation_base": 1}))
    assert (other.sample_rate, other.config.dilation_base) == (8000, 1)


def test_the_published_way_of_loading_takes_a_config_of_any_name(tmp_path: Path):
    folder = write(tmp_path / "model", "elu", PUBLISHED["snake"]["config"])
    named = tmp_path / "other.json"
    named.write_text(json.dumps(PUBLISHED["elu"]["config"] | {"sample_rate": 8000}))
    model = SpeechTokenizer.load_from_checkpoint(str(named), str(folder / "ckpt.dev"))
    assert (model.sample_rate, model.config.activation, model.training) == (8000, "ELU", False)
    beside = speechtokenizer.load(write(tmp_path / "same", "elu", PUBLISHED["elu"]["config"]))
    assert all(torch.equal(model.state_dict()[key], value) for key, value in beside.state_dict().items())
    named.write_text("{}")
    with pytest.raises(CheckpointError, match=r"`other\.json` must be a SpeechTokenizer's, with n_filters"):
        SpeechTokenizer.load_from_checkpoint(named, folder / "ckpt.dev")
    with pytest.raises(FileNotFoundError, match="missing"):
        SpeechTokenizer.load_from_checkpoint(tmp_path / "missing.json", folder / "ckpt.dev")


def test_files_that_do_not_fit_are_named(tmp_path: Path):
    config = PUBLISHED["elu"]["config"]
    lacking = {key: value for key, value in config.items() if key not in ("n_q", "strides")}
    with pytest.raises(CheckpointError, match=r"with n_q, strides, but is .*config.json"):
        speechtokenizer.load(write(tmp_path / "lacking", "elu", lacking))
    with pytest.raises(CheckpointError, match="do not fit the model"):
        speechtokenizer.load(write(tmp_path / "wrong", "elu", config | {"dimension": 16}))
    with pytest.raises(CheckpointError, match="activation"):
        speechtokenizer.load(write(tmp_path / "odd", "elu", config | {"activation": "Tanh"}))
    (tmp_path / "odd" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not JSON"):
        speechtokenizer.load(tmp_path / "odd")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "odd" / "ckpt.dev")
    (tmp_path / "odd" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no published SpeechTokenizer"):
        speechtokenizer.load(tmp_path / "odd")
    torch.save({}, tmp_path / "odd" / "second.pt")
    with pytest.raises(ValueError, match=r"ckpt\.dev, second\.pt"):
        speechtokenizer.load(tmp_path / "odd")
    for missing in (tmp_path / "nowhere", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match=missing.name):
            speechtokenizer.load(missing)


def test_a_trainers_file_is_taken_for_its_generator(tmp_path: Path):
    folder = write(tmp_path / "trainer", "snake")
    state = torch.load(folder / "ckpt.dev", weights_only=True)
    torch.save({"generator": state, "discriminators": {"mpd": {}}}, folder / "ckpt.dev")
    loaded = speechtokenizer.load(folder).state_dict()
    expected = speechtokenizer.load(write(tmp_path / "flat", "snake")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())


def test_what_was_saved_is_loaded(tmp_path: Path):
    MODEL.save_pretrained(tmp_path / "new" / "folder")
    loaded = SpeechTokenizer.from_pretrained(tmp_path / "new" / "folder")
    assert loaded.config == CONFIG
    assert not loaded.training
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in MODEL.state_dict().items())


def test_what_a_codec_tells_of_itself():
    assert (MODEL.sample_rate, MODEL.hop, MODEL.frame_rate) == (16000, 20, 800.0)
    assert (MODEL.num_codes, MODEL.num_codebooks, MODEL.device) == (32, 3, torch.device("cpu"))


def test_batches_hold_what_each_utterance_is_alone():
    wavs = [noise(1, n, seed=i) for i, n in enumerate([700, 500, 700, 330, 500])]
    together = MODEL.encode_batch(wavs, 16000)
    for wav, codes in zip(wavs, together, strict=True):
        assert torch.equal(codes.codes, MODEL.encode(wav[None])[:, 0])
        assert (codes.frame_rate, codes.codebook_size) == (800.0, 32)
    spoken = MODEL.decode_batch([*together, together[0].levels(2)])
    for codes, wav in zip(together, spoken, strict=False):
        assert wav.shape == (1, len(codes) * 20)
        assert torch.allclose(wav, MODEL.decode(codes.codes[:, None])[0], atol=1e-5)
    assert torch.allclose(spoken[-1], MODEL.decode(together[0].codes[:2, None])[0], atol=1e-5)
    assert MODEL.encode_batch([], 16000) == [] == MODEL.decode_batch([])


def test_other_rates_are_resampled():
    wav = noise(1, 4410)
    expected = MODEL.encode(torchaudio.functional.resample(wav, 44100, 16000)[None])[:, 0]
    assert torch.equal(MODEL.encode_wav(wav, 44100).codes, expected)


def test_no_frames_are_silence_of_length_zero():
    assert MODEL.decode(torch.zeros(3, 2, 0, dtype=torch.int64)).shape == (2, 1, 0)
    assert MODEL.decode_codes(random_codes(3, 0)).shape == (1, 0)


@pytest.mark.parametrize("frames", [3, 9])
def test_conversion_takes_the_first_level_of_one_and_the_others_of_the_other(frames: int):
    content, voice = random_codes(3, 7), random_codes(3, frames)
    mixed = torch.tensor([[voice.codes[level, t % frames] for t in range(7)] for level in (1, 2)])
    expected = MODEL.decode(torch.cat([content.codes[:1], mixed])[:, None])[0]
    assert torch.equal(MODEL.convert(content, voice), expected)
    with pytest.raises(ValueError, match="two or more levels"):
        MODEL.convert(content, voice.levels(1))
    with pytest.raises(ValueError, match="at least one frame"):
        MODEL.convert(content, random_codes(3, 0))


def test_training_reaches_every_weight():
    model = small(dataclasses.replace(CONFIG, activation="Snake", residual_layers=2)).train()
    audio, commitment, feature = model(noise(2, 1, 400))
    assert (audio.shape, feature.shape) == ((2, 1, 400), (2, 20, 6))
    (audio.square().mean() + commitment + feature.square().mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("level", [0, 2])
def test_feature_and_commitment_of_each_level_train_the_encoder(level: int):
    model, x = small().train(), noise(1, 1, 200)
    encoder = list(model.encoder.parameters())
    _, _, feature = model(x, layers=[2, level])
    assert torch.equal(feature, model(x, layers=[level])[2])
    assert any(g.abs().sum() > 0 for g in torch.autograd.grad(feature.sum(), encoder))
    ways = [torch.autograd.grad(model(x, n_q=n)[1] * n, encoder[0])[0] for n in (level + 1, level)[: level + 1]]
    assert not torch.equal(ways[0], ways[-1] if level else torch.zeros_like(ways[0]))


def test_half_precision_keeps_the_codebooks():
    half = copy.deepcopy(MODEL).to(torch.bfloat16)
    kept = {key for key, value in half.state_dict().items() if value.dtype == torch.float32}
    assert kept == {f"quantizer.layers.{level}.embed" for level in range(3)}
    codes = random_codes(3, 30)
    wav, reference = half.decode_codes(codes), MODEL.decode_codes(codes)
    assert wav.dtype == torch.float32
    assert float((wav - reference).std()) < 0.1 * float(reference.std())
    assert len(half.encode_wav(noise(1, 640), 16000)) == 32


@pytest.mark.parametrize(
    "x", [noise(400), noise(1, 400), noise(1, 2, 400), noise(1, 1, 0), torch.ones(1, 1, 400, dtype=torch.int16), [0.1]]
)
def test_a_wrong_batch_is_named(x):
    with pytest.raises(ValueError, match=r"`x` must be a float tensor \(B, 1, samples\), samples >= 1"):
        MODEL.encode(x)


@pytest.mark.parametrize(
    ("wav", "sr", "message"),
    [
        (noise(2, 400), 16000, "Average the channels"),
        (noise(1, 319), 16000, "at least 320 samples"),
        (torch.full((1, 400), torch.nan), 16000, "finite"),
        (noise(1, 400), 0, "`sr`"),
    ],
)
def test_a_wrong_waveform_is_named(wav, sr, message):
    with pytest.raises(ValueError, match=message):
        MODEL.encode_wav(wav, sr)


@pytest.mark.parametrize(("n_q", "st"), [(4, None), (1, 1), (None, 3), (2, 2), (-1, None), (None, -1)])
def test_levels_that_are_not_there_are_named(n_q, st):
    with pytest.raises(ValueError, match=r"0 <= st < n_q.*at most 3"):
        MODEL.encode(noise(1, 1, 100), n_q, st)


@pytest.mark.parametrize("layers", [[3], [0, -1]])
def test_layers_that_are_not_there_are_named(layers):
    with pytest.raises(ValueError, match="from 0 to 2"):
        MODEL.forward_feature(noise(1, 1, 100), layers)
    with pytest.raises(ValueError, match="from 0 to 1"):
        MODEL(noise(1, 1, 100), 2, [2])


@pytest.mark.parametrize(
    ("codes", "st", "message"),
    [
        (torch.zeros(3, 4, dtype=torch.int64), 0, r"\(levels, B, frames\)"),
        (torch.zeros(3, 1, 4), 0, r"codes\.long"),
        (torch.full((1, 1, 4), 32), 0, "from 0 to 31, but is a tensor with values from 32 to 32"),
        (torch.full((1, 1, 4), -1), 0, "from -1 to -1"),
        (torch.zeros(4, 1, 4, dtype=torch.int64), 0, "a range 0..4"),
        (torch.zeros(3, 1, 4, dtype=torch.int64), 1, "a range 1..4"),
    ],
)
def test_wrong_codes_are_named(codes, st, message):
    with pytest.raises(ValueError, match=message):
        MODEL.decode(codes, st)


def test_codes_of_another_codec_are_named():
    codes = random_codes(3, 5).codes
    for wrong, message in ((Codes(codes, 50.0, 32), "at 50 Hz"), (Codes(codes, 800.0, 64), "64 codes")):
        with pytest.raises(ValueError, match=message):
            MODEL.decode_codes(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"codebook_size": 0}, "codebook_size"), ({"colour": 1}, "colour"), ({"strides": (200, 200)}, "strides")],
)
def test_a_config_that_describes_no_codec_is_refused(change, message):
    with pytest.raises(CheckpointError, match=message):
        SpeechTokenizerConfig.from_dict(CONFIG.to_dict() | change)


def at_rate(sample_rate: int) -> SpeechTokenizer:
    """A model in float64, whose seconds are short."""
    model = copy.deepcopy(MODEL).double()
    model.config = dataclasses.replace(CONFIG, sample_rate=sample_rate)
    return model


@torch.no_grad()
@pytest.mark.parametrize("samples", [10_007, 2 * 60 * 200 + 1])
def test_long_audio_is_what_it_is_as_a_whole(samples: int):
    """Convolutions in segments of 4 s, and beyond two minutes the LSTMs in windows."""
    model, x = at_rate(200), noise(1, 1, samples).double()
    latents = model.encoder(x[:, 0])
    codes = model.encode(x)
    assert torch.equal(codes, model.quantizer.encode(latents))
    assert torch.equal(model.encode(x, st=1), model.quantizer.encode(latents, 1))
    whole = model.decoder(model.quantizer.decode(codes)).float()
    assert torch.allclose(model.decode(codes)[:, 0], whole, atol=1e-6)
    rest = model.decoder(model.quantizer.decode(codes[1:], 1)).float()
    assert torch.allclose(model.decode(codes[1:], st=1)[:, 0], rest, atol=1e-6)
    assert torch.allclose(model.forward_feature(x, [0])[0], model.quantizer.vectors(codes[:1])[0])


def test_no_part_sees_more_than_a_window_and_its_context():
    model, seen = at_rate(200), []
    frames = 10 * 400
    for part in (model.encoder.model[-3], model.decoder.model[1]):
        part.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[0] * output.shape[-1]))
    model.decode(model.encode(noise(1, 1, frames * 20).double()))
    assert max(seen) == 10 * (120 + 2 * 5)
    assert sum(seen) == 2 * (frames + 3 * 2 * 10 * 5)
    del seen[:]
    model.encode(noise(7, 1, 20 * 10 * 50).double())
    assert seen == [10 * 100] * 3 + [10 * 50]
