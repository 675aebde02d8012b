"""SpeechTokenizer and SoundStream as systems: small files in the published formats through torch.hub and commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import soundstream
import speechtokenizer
from slmcore import audio, shards
from slmcore.errors import CheckpointError
from slmcore.files import registry as table
from slmcore.files.digests import sha256_of
from slmcore.units import OperatingPoint
from slmzoo import cli, hub
from slmzoo.convert import convert
from slmzoo.first_level import FirstLevelEncoder, quantizer_of
from slmzoo.sources import Choice
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file, speechtokenizer_folder
from tests.reference.command import run_on_zoo
from tests.reference.soundstream import noise, small

ROOT = Path(__file__).parents[2]
SPEECHTOKENIZER, SOUNDSTREAM = goldens.load("speechtokenizer_small"), goldens.load("soundstream_small")
SIZES = {"speechtokenizer": (16000, 64, 4), "soundstream": (3000, 1024, 4)}
"""Sample rate, codes and levels."""
both = pytest.mark.parametrize("name", SIZES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files and registries: `speechtokenizer/elu`, `speechtokenizer/snake`, `soundstream.pt`, `<system>.json`."""
    root = tmp_path_factory.mktemp("codecs")
    (root / "speechtokenizer").mkdir()
    for variant in ("elu", "snake"):
        speechtokenizer_folder(root / "speechtokenizer" / variant, *SPEECHTOKENIZER, variant)
    soundstream_file(root / "soundstream.pt", *SOUNDSTREAM, flat=True)
    files = {"elu": "speechtokenizer/elu/SpeechTokenizer.pt", "snake": "speechtokenizer/snake/SpeechTokenizer.pt"}
    rows = [{"kind": "speechtokenizer", "variant": variant, "file": file} for variant, file in files.items()]
    _write(root, "speechtokenizer", rows)
    _write(root, "soundstream", [{"kind": "soundstream", "file": "soundstream.pt", "sample_rate": 3000}])
    return root


def _write(root: Path, system: str, rows: list[dict]) -> None:
    about = {"format": "slmzoo-registry", "version": 1, "zoo": f"my-{system}", "system": system, "rows": rows}
    (root / f"{system}.json").write_text(json.dumps(about))


def speechtokenizer_weights(folder: Path, variant: str) -> Path:
    return folder / "speechtokenizer" / variant / "SpeechTokenizer.pt"


def load(entry: str, *args, **options):
    return torch.hub.load(str(ROOT), entry, *args, source="local", trust_repo=True, **options)


@both
def test_the_entry_point_loads_a_row_and_a_file(folder, name):
    file = folder / ("soundstream.pt" if name == "soundstream" else "speechtokenizer/elu")
    of_row = load(name, zoo=f"my-{name}", registry=str(folder / f"{name}.json"))
    assert (of_row.sample_rate, of_row.num_codes, of_row.num_codebooks) == SIZES[name]
    weights = file if file.is_file() else file / "SpeechTokenizer.pt"
    of_file = load(name, checkpoint=str(weights))
    assert not of_file.training
    assert all(
        torch.equal(a, b) for a, b in zip(of_row.state_dict().values(), of_file.state_dict().values(), strict=True)
    )


def test_a_variant_is_found_by_its_name(folder):
    options = {"zoo": "my-speechtokenizer", "registry": str(folder / "speechtokenizer.json")}
    assert load("speechtokenizer", "snake", **options).config.activation == "Snake"
    assert load("speechtokenizer", **options).config.activation == "ELU"
    with pytest.raises(ValueError, match=r"variant.*elu, snake"):
        load("speechtokenizer", "hubert", **options)


def test_the_published_zoo_has_both_variants():
    rows = table.rows("speechtokenizer", "speechtokenizer")
    assert [(row.variant, row.system, row.file) for row in rows] == [
        ("hubert_avg", "speechtokenizer", "SpeechTokenizer.pt"),
        ("snake", "speechtokenizer", "ckpt.dev"),
    ]


def test_no_weights_of_soundstream_are_published():
    with pytest.raises(ValueError, match=r"no weights of SoundStream are published. Give checkpoint="):
        load("soundstream")


@both
def test_units_are_the_codes_of_the_first_level(folder, name):
    pipeline = load("pipeline", zoo=f"my-{name}", registry=str(folder / f"{name}.json"))
    wav, sr = goldens.speech()
    for wave, rate in ((wav[..., : 2 * sr], sr), (wav[..., : sr // 2], 22050)):
        units, codes = pipeline.units(wave, rate), pipeline.codes(wave, rate)
        assert torch.equal(units.framewise(), codes.codes[0])
        assert (units.frame_rate, units.operating_point.k) == (codes.frame_rate, SIZES[name][1])
    assert len(units) > 3
    assert units.operating_point.lmbda == 0.0
    assert pipeline.encoder.codec is pipeline.codec


def test_lambda_and_the_variant_are_those_asked_for(folder):
    options = {"zoo": "my-speechtokenizer", "registry": str(folder / "speechtokenizer.json")}
    nearest, longer = hub.pipeline(**options), hub.pipeline(lmbda=50.0, variant="snake", **options)
    wav, sr = goldens.speech()
    assert len(longer.units(wav, sr)) < len(nearest.units(wav, sr))
    point = longer.operating_point
    assert (point.encoder, point.k, point.lmbda) == ("speechtokenizer_snake", 64, 50.0)
    with pytest.raises(ValueError, match=r"`k` must be the size of the codec's first codebook \(64\), but is 500"):
        hub.pipeline(k=500, **options)
    with pytest.raises(ValueError, match="`layer` must be 1"):
        nearest.features(wav, sr, layer=2)


@both
def test_batches_give_what_each_gives_alone(folder, name):
    encoder = hub.encoder(zoo=f"my-{name}", registry=str(folder / f"{name}.json"))
    wav, sr = goldens.speech()
    wavs = [wav[:, :8000], wav[:, 8000:16000], wav[:, :5003]]
    for one, of_batch in zip(wavs, encoder.features_batch(wavs, sr), strict=True):
        torch.testing.assert_close(encoder.features(one, sr), of_batch, atol=1e-5, rtol=1e-5)
        assert of_batch.shape[1] == encoder.dim


def test_units_of_a_split_quantiser_are_its_semantic_codes():

    for config in ("mimi", "projected"):
        model, wav = small(config), noise(1, 1200)
        quantizer = quantizer_of(model, Choice(), OperatingPoint(zoo="mine"))
        units = quantizer.segment(FirstLevelEncoder(model).features(wav, 600))
        assert torch.equal(units.framewise(), model.encode_wav(wav, 600).codes[0]), config
        assert len(units.units.unique()) > 1


@both
def test_commands_write_units_codes_and_copies(capsys, folder, tmp_path, name):
    wav, sr = goldens.speech()
    file = tmp_path / "talk.wav"
    audio.write(file, wav[:, :sr], sr)
    (lines,) = run_on_zoo(capsys, folder / f"{name}.json", "units", file)
    (summary,) = run_on_zoo(
        capsys, folder / f"{name}.json", "units", file, "--out", tmp_path / "units", "--workers", "1"
    )
    (record,) = shards.read(tmp_path / "units")
    assert record.units.units.tolist() == lines["units"]
    assert (summary["units"], summary["k"]) == (len(lines["units"]), SIZES[name][1])
    assert "codec_sha256" in shards.provenance(tmp_path / "units")
    run_on_zoo(capsys, folder / f"{name}.json", "units", file, "--codes", "--out", tmp_path / "codes", "--workers", "1")
    (coded,) = shards.read_codes(tmp_path / "codes")
    assert coded.codes.num_codebooks == SIZES[name][2]
    assert coded.codes.codes[0].tolist() == record.units.framewise().tolist()
    (spoken,) = run_on_zoo(capsys, folder / f"{name}.json", "resynth", file, "--out", tmp_path / "out")
    made, rate = audio.load(spoken["wavs"][0])
    codec = hub.codec(zoo=f"my-{name}", registry=str(folder / f"{name}.json"))
    assert rate == SIZES[name][0]
    wanted = codec.decode_codes(coded.codes).clamp(-1, 1)
    torch.testing.assert_close(made, wanted, atol=1e-3, rtol=0)
    assert spoken["units"] == lines["units"]


@both
def test_verbs_of_a_language_model_are_refused_by_name(capsys, folder, tmp_path, name):
    file = tmp_path / "talk.wav"
    audio.write(file, goldens.speech()[0][:, :8000], 16000)
    arguments = ["--zoo", f"my-{name}", "--registry", str(folder / f"{name}.json")]
    assert cli.main(["score", str(file), *arguments]) == 2
    assert f"The system {name} of the zoo 'my-{name}' has no language model." in capsys.readouterr().err


@both
def test_a_sweep_runs_over_lambda(capsys, folder, tmp_path, name):
    data = tmp_path / "data"
    data.mkdir()
    audio.write(data / "talk.wav", goldens.speech()[0][:, :16000], 16000)
    k = SIZES[name][1]
    options = ("--k", k, "--lmbda", 0, 1000000, "--out", tmp_path / "out")
    rows = run_on_zoo(capsys, folder / f"{name}.json", "eval sweep", data, *options)
    rates = [row["value"] for row in rows if row["metric"] == "units_per_second"]
    assert rates[0] > 2 * rates[1] > 0


@pytest.mark.parametrize(("name", "kind"), [("speechtokenizer", speechtokenizer), ("soundstream", soundstream)])
def test_published_files_become_safetensors_that_load_equal(folder, tmp_path, name, kind):
    source = folder / ("soundstream.pt" if name == "soundstream" else "speechtokenizer/snake/SpeechTokenizer.pt")
    assert convert(source, tmp_path / "made.safetensors") == name
    one, other = kind.load(source), kind.load(tmp_path / "made.safetensors")
    assert one.config == other.config
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_files_of_the_published_trainer_are_recognised(folder, tmp_path):
    state = torch.load(folder / "speechtokenizer/elu/SpeechTokenizer.pt", weights_only=True)
    torch.save({"generator": state, "discriminators": {}, "optim_g": {}}, tmp_path / "trained.pt")
    assert convert(tmp_path / "trained.pt", tmp_path / "made.safetensors") == "speechtokenizer"
    assert speechtokenizer.load(tmp_path / "made.safetensors").config.activation == "ELU"


def test_the_config_beside_a_file_counts_where_the_file_is_converted(folder, tmp_path):
    state = torch.load(folder / "speechtokenizer/elu/SpeechTokenizer.pt", weights_only=True)
    config = {**SPEECHTOKENIZER[0]["variants"]["elu"]["config"], "sample_rate": 24000}
    torch.save(state, tmp_path / "SpeechTokenizer.pt")
    (tmp_path / "config.json").write_text(json.dumps(config))
    convert(tmp_path / "SpeechTokenizer.pt", tmp_path / "made.safetensors")
    assert speechtokenizer.load(tmp_path / "made.safetensors").sample_rate == 24000
    assert load("speechtokenizer", checkpoint=str(tmp_path / "SpeechTokenizer.pt")).sample_rate == 24000
    del config["strides"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    for use in (
        lambda: load("speechtokenizer", checkpoint=str(tmp_path / "SpeechTokenizer.pt")),
        lambda: convert(tmp_path / "SpeechTokenizer.pt", tmp_path / "made.safetensors"),
    ):
        with pytest.raises(CheckpointError, match="with strides"):
            use()


def test_a_job_of_codes_is_of_the_variant_asked_for(capsys, folder, tmp_path):
    wav, sr = goldens.speech()
    audio.write(tmp_path / "speech.wav", wav[..., : sr // 2], sr)
    registry = folder / "speechtokenizer.json"
    for variant in ("elu", "snake"):
        own = hub.codec(zoo="my-speechtokenizer", registry=registry, variant=variant)
        wanted = own.encode_wav(*audio.load(tmp_path / "speech.wav")).codes.tolist()
        given = ("units", tmp_path / "speech.wav", "--codes", "--variant", variant)
        (line,) = run_on_zoo(capsys, registry, *given)
        run_on_zoo(capsys, registry, *given, "--out", tmp_path / variant, "--workers", "1")
        (record,) = shards.read_codes(tmp_path / variant)
        assert line["codes"] == record.codes.codes.tolist() == wanted
        assert shards.provenance(tmp_path / variant)["codec_sha256"] == sha256_of(
            speechtokenizer_weights(folder, variant)
        )


def test_fetch_names_the_file_of_the_variant(capsys, folder):
    for options, variant in (((), "elu"), (("--variant", "snake"), "snake"), (("--variant", "elu"), "elu")):
        (row,) = run_on_zoo(capsys, folder / "speechtokenizer.json", "fetch", *options)
        assert Path(row["path"]) == speechtokenizer_weights(folder, variant)
    (row,) = run_on_zoo(capsys, folder / "soundstream.json", "fetch", "--variant", "only")
    assert Path(row["path"]) == folder / "soundstream.pt"


@both
def test_wrong_rates_codes_and_levels_are_errors(folder, name):
    codec = hub.codec(zoo=f"my-{name}", registry=str(folder / f"{name}.json"))
    wav = goldens.speech()[0][:, :8000]
    with pytest.raises(ValueError, match="sr"):
        codec.encode_wav(wav, 0)
    with pytest.raises(ValueError, match="wav"):
        codec.encode_wav(wav.expand(2, -1), 16000)
    codes = codec.encode_wav(wav, 16000)
    with pytest.raises(ValueError, match="codebooks"):
        codec.decode_codes(type(codes)(codes.codes.repeat(2, 1), codes.frame_rate, codes.codebook_size))
    with pytest.raises(ValueError, match="Another codec made them"):
        codec.decode_codes(type(codes)(codes.codes, codes.frame_rate, codes.codebook_size + 1))
    with pytest.raises(ValueError, match="`codes` must be from 0"):
        type(codes)(codes.codes + codes.codebook_size, codes.frame_rate, codes.codebook_size)


@pytest.mark.parametrize("variant", [None, "snake"])
def test_voices_are_converted_by_exchange_of_levels(capsys, folder, tmp_path, variant):
    wav, sr = goldens.speech()
    for name, part in (("talk", wav[:, :8000]), ("more", wav[:, 8000:14000]), ("other", wav[:, 14000:17000])):
        audio.write(tmp_path / f"{name}.wav", part, sr)
    inputs = (tmp_path / "talk.wav", tmp_path / "more.wav")
    options = (
        "--like",
        tmp_path / "other.wav",
        "--out",
        tmp_path / "out",
        *(("--variant", variant) if variant else ()),
    )
    codec = hub.codec(zoo="my-speechtokenizer", registry=str(folder / "speechtokenizer.json"), variant=variant)
    assert codec.config.activation == ("Snake" if variant else "ELU")
    voice = codec.encode_wav(*audio.load(tmp_path / "other.wav"))
    for row, file in zip(
        run_on_zoo(capsys, folder / "speechtokenizer.json", "convert-voice", *inputs, *options), inputs, strict=True
    ):
        made, rate = audio.load(row["wav"])
        content = codec.encode_wav(*audio.load(file))
        turns = -(-len(content) // len(voice))
        mixed = torch.cat([content.codes[:1], voice.codes[1:].repeat(1, turns)[:, : len(content)]])
        wanted = codec.decode(mixed[:, None])[0].clamp(-1, 1)
        torch.testing.assert_close(made, wanted, atol=1e-3, rtol=0)
        assert (rate, row["like"]) == (16000, str(tmp_path / "other.wav"))


@pytest.mark.parametrize(("samples", "message"), [(300, "at least 320 samples long"), (0, "holds no samples")])
def test_a_voice_shorter_than_a_frame_is_refused(capsys, folder, tmp_path, samples, message):
    for name, wav in (
        ("talk", goldens.speech()[0][:, :8000]),
        ("voice", goldens.speech()[0][:, 4000 : 4000 + samples]),
    ):
        audio.write(tmp_path / f"{name}.wav", wav, 16000)
    given = ["--zoo", "my-speechtokenizer", "--registry", str(folder / "speechtokenizer.json")]
    files = [str(tmp_path / "talk.wav"), "--like", str(tmp_path / "voice.wav"), "--out", str(tmp_path / "out")]
    assert cli.main(["convert-voice", *files, *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_codec_that_does_not_keep_voices_apart_converts_none(capsys, folder, tmp_path):
    audio.write(tmp_path / "talk.wav", goldens.speech()[0][:, :8000], 16000)
    file = str(tmp_path / "talk.wav")
    given = ["--zoo", "my-soundstream", "--registry", str(folder / "soundstream.json")]
    assert cli.main(["convert-voice", file, "--like", file, *given]) == 2
    assert "SoundStream does not keep content and timbre apart" in capsys.readouterr().err
