from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
import torchaudio

from slmcore.errors import CheckpointError
from slmcore.units import Codes
from soundstream import SoundStream, SoundStreamConfig, load
from soundstream.quantizer import SplitVQ
from tests.reference.recipe import golden_json, recipe_state
from tests.reference.soundstream import CAUSAL, CONFIGS, SIZES, noise, small

MODELS = {name: small(name) for name in CONFIGS}
every = pytest.mark.parametrize("name", CONFIGS)


@every
def test_a_frame_for_every_hop_begun_and_sound_cut_to_its_length(name: str):
    model = MODELS[name]
    for samples in (1, model.hop - 1, model.hop, model.hop + 1, 100):
        codes = model.encode(noise(2, samples), 600)
        assert codes.shape == (2, 3, -(-samples // model.hop))
        assert model.decode(codes).shape == (2, codes.shape[2] * model.hop)
        cut = model.decode(codes, samples)
        assert cut.shape == (2, samples)
        assert torch.equal(cut, model.decode(codes)[:, :samples])


@every
def test_decoding_codes_is_decoding_their_latents(name: str):
    model, wav = MODELS[name], noise(2, 75)
    latents = model.encode_latents(wav, 600)
    for bandwidth in (None, *model.bandwidths):
        codes = model.quantize(latents, bandwidth)
        assert torch.equal(codes, model.encode(wav, 600, bandwidth))
        assert torch.equal(model.decode(codes), model.decode_latents(model.dequantize(codes)))
    assert not torch.allclose(model.decode_latents(latents), model.decode(codes), atol=1e-3)


@every
def test_fewer_levels_are_the_first_ones(name: str):
    model, wav = MODELS[name], noise(1, 90)
    codes = model.encode(wav, 600)
    for level, bandwidth in enumerate(model.bandwidths):
        assert torch.equal(model.encode(wav, 600, bandwidth), codes[:, : level + 1])


def test_a_causal_codec_hears_silence_behind_the_end():
    model, wav = MODELS["projected"], noise(1, 20)
    silent = torch.nn.functional.pad(wav, (0, 4))
    assert torch.equal(model.encode_latents(wav, 600), model.encode_latents(silent, 600))
    plain = MODELS["plain"]
    assert not torch.allclose(plain.encode_latents(wav, 600), plain.encode_latents(silent, 600))


@pytest.mark.parametrize(
    ("bandwidth", "levels"), [(0.01, 1), (0.4, 1), (0.79, 1), (0.8, 2), (1.1, 2), (1.2, 3), (1.2000001, 3)]
)
def test_levels_of_a_bandwidth(bandwidth: float, levels: int):
    config = CONFIGS["plain"]
    assert config.bandwidths == pytest.approx((0.4, 0.8, 1.2))
    assert config.levels_of(bandwidth) == levels


def test_rates_count_the_bits_of_a_codebook_and_bear_rounding():
    config = dataclasses.replace(CONFIGS["plain"], codebook_size=256, num_codebooks=10, sample_rate=450)
    assert config.bandwidths == pytest.approx([0.6 * n for n in range(1, 11)])
    assert [config.levels_of(0.6 * n) for n in range(1, 11)] == list(range(1, 11))


@pytest.mark.parametrize("bandwidth", [0, -1, 1.21, float("nan")])
def test_a_bandwidth_that_the_codec_has_not_is_named(bandwidth: float):
    with pytest.raises(ValueError, match=r"at most 1\.2 kb/s, but is .* Possible: 0\.4, 0\.8, 1\.2"):
        MODELS["plain"].encode(noise(1, 30), 600, bandwidth)


@every
def test_what_was_saved_is_loaded(name: str, tmp_path: Path):
    MODELS[name].save_pretrained(tmp_path)
    loaded = SoundStream.from_pretrained(tmp_path)
    assert loaded.config == CONFIGS[name]
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in MODELS[name].state_dict().items())


def test_what_a_codec_tells_of_itself():
    model = MODELS["mimi"]
    assert (model.sample_rate, model.hop, model.frame_rate) == (600, 12, 50.0)
    assert (model.num_codes, model.num_codebooks, model.device) == (16, 3, torch.device("cpu"))


@every
def test_the_codecs_role(name: str):
    model = MODELS[name]
    wavs = [noise(1, n, seed=n) for n in (40, 75, 40)]
    codes = model.encode_batch(wavs, 600)
    for wav, found in zip(wavs, codes, strict=True):
        assert torch.equal(found.codes, model.encode(wav, 600)[0])
        assert (found.frame_rate, found.codebook_size) == (model.frame_rate, 16)
    for found, wav in zip(codes, model.decode_batch(codes), strict=True):
        assert torch.allclose(wav, model.decode(found.codes[None]), atol=1e-5)
    lower = model.decode_codes(codes[0].levels(1))
    assert torch.allclose(lower, model.decode(codes[0].codes[None, :1]), atol=1e-5)
    assert model.decode_codes(Codes(torch.zeros(2, 0, dtype=torch.int64), model.frame_rate, 16)).shape == (1, 0)
    with pytest.raises(ValueError, match="at 7 Hz"):
        model.decode_codes(Codes(codes[0].codes, 7.0, 16))
    with pytest.raises(ValueError, match="Average the channels"):
        model.encode_wav(noise(2, 40), 600)


def test_other_rates_are_resampled():
    wav = noise(2, 800)
    expected = MODELS["causal"].encode(torchaudio.functional.resample(wav, 1600, 600), 600)
    assert torch.equal(MODELS["causal"].encode(wav, 1600), expected)


@every
def test_training_reaches_every_weight(name: str):
    model = small(name).train()
    wav = noise(2, 94)
    made = model(wav)
    assert made.wav.shape == wav.shape
    assert made.quantized.codes.shape == (3, 2, made.latents.shape[2])
    (made.wav.square().mean() + made.quantized.commitment).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().sum()) > 0, key
    fewer = model(wav, 1)
    assert torch.equal(fewer.quantized.codes, made.quantized.codes[:1])
    assert not torch.allclose(fewer.wav, made.wav)


def test_a_split_quantiser_adds_what_both_parts_make_of_the_same_latents():
    quantizer = MODELS["mimi"].quantizer
    assert isinstance(quantizer, SplitVQ)
    latents = noise(2, 8, 5).requires_grad_()
    found = quantizer(latents)
    semantic, acoustic = quantizer.semantic(latents), quantizer.acoustic(latents)
    assert torch.equal(found.codes, torch.cat([semantic.codes, acoustic.codes]))
    assert torch.allclose(found.latents, semantic.latents + acoustic.latents)
    assert torch.allclose(found.latents, quantizer.decode(found.codes), atol=1e-6)
    inner = quantizer.acoustic.input_proj(latents)
    assert torch.allclose(acoustic.residuals[0], inner)
    errors = [(quantizer.semantic.input_proj(latents) - semantic.parts[0]).square().mean()]
    errors += [(acoustic.residuals[i] - acoustic.parts[i]).square().mean() for i in range(2)]
    assert torch.allclose(found.commitment, sum(errors) / 3)
    with pytest.raises(ValueError, match="from 1 to 3"):
        quantizer.encode(latents, last=4)


@every
def test_half_precision_keeps_what_must_stay_float32(name: str):
    half = copy.deepcopy(MODELS[name]).to(torch.bfloat16)
    kept = {key for key, value in half.state_dict().items() if value.dtype == torch.float32}
    assert {key for key in half.state_dict() if key.endswith("embed")} <= kept
    assert all(key.endswith("embed") or ".norm" in key or "latent_scale" in key for key in kept)
    codes = MODELS[name].encode(noise(1, 240), 600)
    wav, reference = half.decode(codes), MODELS[name].decode(codes)
    assert wav.dtype == torch.float32
    assert float((wav - reference).std()) < 0.1 * float(reference.std())
    assert half.encode(noise(1, 240), 600).shape == codes.shape


@pytest.mark.parametrize(
    ("wav", "sr", "message"),
    [
        (noise(30), 600, r"float tensor \(B, samples\)"),
        (noise(1, 1, 30), 600, r"float tensor \(B, samples\)"),
        (noise(1, 0), 600, "samples >= 1"),
        (torch.zeros(1, 30, dtype=torch.int16), 600, "float tensor"),
        (noise(1, 30), 0, "`sr`"),
        (noise(1, 30), 600.5, "`sr`"),
    ],
)
def test_a_wrong_waveform_is_named(wav, sr, message):
    with pytest.raises(ValueError, match=message):
        MODELS["causal"].encode(wav, sr)


def test_what_cannot_be_decoded_is_named():
    model = MODELS["causal"]
    for codes, message in (
        (torch.zeros(3, 4, dtype=torch.int64), r"\(B, levels, frames\)"),
        (torch.zeros(1, 3, 4), r"codes\.long"),
        (torch.full((1, 3, 4), 16), "from 0 to 15"),
        (torch.zeros(1, 4, 4, dtype=torch.int64), "of 1 to 3 levels, but is a tensor of 4"),
        (torch.zeros(1, 0, 4, dtype=torch.int64), "of 1 to 3 levels"),
    ):
        with pytest.raises(ValueError, match=message):
            model.decode(codes)
    with pytest.raises(ValueError, match=r"\(B, 8, frames\)"):
        model.decode_latents(torch.zeros(1, 7, 4))
    for samples in (25, -1):
        with pytest.raises(ValueError, match="from 0 to 24"):
            model.decode(torch.zeros(1, 3, 4, dtype=torch.int64), samples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebook_size": 1}, "codebook_size"),
        ({"sample_rate": 5}, "strides"),
        ({"semantic": True}, "quantizer_dimension"),
        ({"semantic": True, "quantizer_dimension": 4, "num_codebooks": 1}, "two or more codebooks"),
        ({"transformer": {"heads": 3}}, "multiple of twice the 3 heads"),
        ({"transformer": {"layers": 0}}, "layers"),
        ({"seanet": {"strides": []}}, "SEANetConfig|strides"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_config_that_describes_no_codec_is_refused(change, message):
    with pytest.raises(CheckpointError, match=message):
        SoundStreamConfig.from_dict(SoundStreamConfig(seanet=CAUSAL, **SIZES).to_dict() | change)


def test_files_of_another_kind_and_needless_facts_are_refused(tmp_path: Path):
    for wrong in ({"weight": torch.zeros(1)}, [1], {"state_dict": 3}):
        torch.save(wrong, tmp_path / "wrong.pt")
        with pytest.raises(CheckpointError, match="no published SoundStream"):
            load(tmp_path / "wrong.pt")
    weights = recipe_state(
        {k: v for k, v in golden_json("soundstream_small")["state_dict"].items() if "inited" not in k}
    )
    torch.save(weights, tmp_path / "right.pt")
    assert load(tmp_path / "right.pt").sample_rate == 24000
    for needless in ({"heads": 4}, {"colour": 1}):
        with pytest.raises(CheckpointError, match=f"do not want {next(iter(needless))} to be told"):
            load(tmp_path / "right.pt", **needless)


@every
def test_long_audio_is_what_it_is_as_a_whole(name: str):
    """25 s, and so in three segments."""
    model = copy.deepcopy(MODELS[name]).double()
    wav = noise(1, 15_007).double()
    missing = -15_007 % model.hop if name != "plain" else 0
    with torch.no_grad():
        latents = model.analyse(torch.nn.functional.pad(wav, (0, missing)))
        assert torch.allclose(model.encode_latents(wav, 600), latents, atol=1e-9)
        assert torch.allclose(model.decode_latents(latents), model.synthesise(latents).float(), atol=1e-6)
