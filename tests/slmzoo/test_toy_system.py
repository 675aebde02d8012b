"""The proof that a system is added by files of its own: a toy system runs through every verb of the zoo."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import hubconf
from slmcore import audio, shards
from slmzoo import cli
from slmzoo.evaluation.report.results import read
from tests.reference.command import run_on_zoo
from tests.toy_system import parts, zoo


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLMZOO_SYSTEMS", zoo.MODULES)
    return zoo.write(tmp_path / "toy")


@pytest.fixture
def codec_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLMZOO_SYSTEMS", zoo.MODULES)
    return zoo.write_codec_only(tmp_path / "codec")


@pytest.fixture
def wavs(tmp_path: Path) -> Path:
    """`up` climbs through the bands, which the bigrams expect, and `down` descends; each band for 0.2 s."""
    folder = tmp_path / "wavs"
    folder.mkdir()
    for name, bands in (("up", (0, 1, 2, 3)), ("down", (3, 2, 1, 0))):
        hertz = torch.tensor(bands).repeat_interleave(1600) * 1000.0 + 500
        audio.write(folder / f"{name}.wav", 0.5 * (torch.arange(6400) * hertz * 2 * torch.pi / 8000).sin()[None], 8000)
    return folder


def test_units_are_the_bands(capsys, registry, wavs):
    down, up = run_on_zoo(capsys, registry, "units", wavs)
    assert (down["units"], up["units"]) == ([3, 2, 1, 0], [0, 1, 2, 3])
    assert up["durations"] == [8, 8, 8, 8]
    assert (up["frame_rate"], up["k"], up["lmbda"], up["zoo"]) == (40.0, 4, 2.0, "toy")


def test_units_go_to_shards_with_the_digests_of_their_models(capsys, registry, wavs, tmp_path):
    (summary,) = run_on_zoo(capsys, registry, "units", wavs, "--out", tmp_path / "units", "--workers", "1")
    assert (summary["records"], summary["units"], summary["k"]) == (2, 8, 4)
    assert [record.units.units.tolist() for record in shards.read(tmp_path / "units")] == [[3, 2, 1, 0], [0, 1, 2, 3]]
    assert {"encoder_sha256", "codebook_sha256"} <= shards.provenance(tmp_path / "units").keys()


def test_score_prefers_what_the_bigrams_expect(capsys, registry, wavs):
    down, up = run_on_zoo(capsys, registry, "score", wavs)
    first, likely, other = (torch.tensor(p).log().item() for p in (0.25, 0.7, 0.1))
    assert up["loglikelihood"] == pytest.approx(first + 3 * likely)
    assert down["loglikelihood"] == pytest.approx(first + 3 * other)


def test_continue_speaks_the_likeliest_units(capsys, registry, wavs, tmp_path):
    options = ("--prompt-seconds", "0.4", "--max-new-units", "2", "--out", tmp_path / "out", "--drop-prompt")
    down, up = run_on_zoo(capsys, registry, "continue", wavs, *options)
    assert (up["prompt"], up["units"]) == ([0, 1], [[2, 3]])
    assert (down["prompt"], down["units"]) == ([3, 2], [[3, 0]])
    wav, rate = audio.load(up["wavs"][0])
    assert (wav.shape[1], rate) == (2 * parts.HOP, 8000)


def test_resynth_gives_the_same_units_again(capsys, registry, wavs, tmp_path):
    found = run_on_zoo(capsys, registry, "resynth", wavs / "up.wav", "--out", tmp_path / "out")
    assert Path(found[0]["figure"]).is_file()
    again = run_on_zoo(capsys, registry, "units", found[0]["wavs"][0])
    assert (again[0]["units"], again[0]["durations"]) == (found[0]["units"], found[0]["durations"])


def test_an_option_that_the_synthesiser_does_not_have_is_refused_by_name(capsys, registry, wavs, tmp_path):
    arguments = ["resynth", str(wavs / "up.wav"), "--zoo", "toy", "--registry", str(registry), "--out", str(tmp_path)]
    assert cli.main([*arguments, "--temperature", "0.5"]) == 1
    assert "`temperature` must be left out for a Tones" in capsys.readouterr().err


def test_pairs_are_evaluated(capsys, registry, wavs, tmp_path):
    (tmp_path / "pairs.csv").write_text("positive,negative\nup.wav,down.wav\n")
    run_on_zoo(capsys, registry, "eval pairs", tmp_path / "pairs.csv", "--audio", wavs, "--out", tmp_path / "out")
    content = read(tmp_path / "out" / "pairs.json")
    assert [score["value"] for score in content["scores"]] == [1.0]
    assert content["models"].keys() == {"toy_encoder", "toy_codebook", "toy_bigram"}


def test_a_sweep_measures_each_point(capsys, registry, wavs, tmp_path):
    options = ("--k", "4", "--lmbda", "1", "16", "--out", tmp_path / "out")
    rows = run_on_zoo(capsys, registry, "eval sweep", wavs, *options)
    rates = {row["subset"]["lmbda"]: row["value"] for row in rows if row["metric"] == "units_per_second"}
    # Held for 16 frames, two of the four bands are heard.
    assert rates == {"1": pytest.approx(5.0), "16": pytest.approx(2.5)}


def test_list_fetch_and_verify_know_its_models(capsys, registry):
    kinds = ["toy_encoder", "toy_codebook", "toy_bigram", "toy_tones", "toy_codec"]
    for words in ("list", "fetch", "verify"):
        assert [row["kind"] for row in run_on_zoo(capsys, registry, words)] == kinds, words


def test_the_pipeline_has_every_role(registry, wavs):
    pipeline = hubconf.pipeline(zoo="toy", registry=registry)
    wav, rate = audio.load(wavs / "down.wav")
    assert pipeline.units(wav, rate).units.tolist() == [3, 2, 1, 0]
    assert pipeline.codes(wav, rate).codes.shape == (2, 6400)
    assert (pipeline.k, pipeline.frame_rate, pipeline.sample_rate) == (4, 40.0, 8000)
    assert pipeline.sources.keys() == {"toy_encoder", "toy_codebook", "toy_bigram", "toy_tones", "toy_codec"}


def test_a_codec_alone_resynthesises_by_its_copy(capsys, codec_only, wavs, tmp_path):
    found = run_on_zoo(capsys, codec_only, "resynth", wavs, "--out", tmp_path / "out")
    assert [row["loglikelihood"] for row in found] == [None, None]
    assert all(Path(row["figure"]).is_file() for row in found)
    for row in found:
        copy, original = audio.load(row["wavs"][0])[0], audio.load(row["file"])[0]
        torch.testing.assert_close(copy, original, atol=2 / 255, rtol=0)


def test_units_of_a_codec_alone_are_its_codes(capsys, codec_only, wavs):
    down, up = run_on_zoo(capsys, codec_only, "units", wavs)
    wav, rate = audio.load(wavs / "up.wav")
    assert up["codes"] == parts.SampleCodec(2).encode_wav(wav, rate).codes.tolist()
    assert (up["frame_rate"], up["codebook_size"], up["bits_per_second"]) == (8000.0, 16, 64000.0)
    assert down["codes"] != up["codes"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_corpus_of_codes_resumes_and_reads_as_the_codec_gives_it(capsys, codec_only, wavs, tmp_path, workers):
    options = ("--out", tmp_path / "codes", "--workers", workers, "--shard-minutes", "0.001")
    (summary,) = run_on_zoo(capsys, codec_only, "units", wavs, *options)
    assert (summary["records"], summary["frames"], summary["codebooks"], summary["zoo"]) == (2, 12800, 2, "toy-codec")
    shard = tmp_path / "codes" / "shard-000001.parquet"
    before = shard.read_bytes()
    shard.unlink()
    assert run_on_zoo(capsys, codec_only, "units", wavs, *options) == [summary]
    assert shard.read_bytes() == before
    found = {record.id: record for record in shards.read_codes(tmp_path / "codes")}
    assert found.keys() == {"up", "down"}
    for name, record in found.items():
        wav, rate = audio.load(wavs / f"{name}.wav")
        assert record.codes.codes.tolist() == parts.SampleCodec(2).encode_wav(wav, rate).codes.tolist()
        assert (record.samples, record.sample_rate) == (6400, 8000)
    assert "codec_sha256" in shards.provenance(tmp_path / "codes")


def test_codes_are_asked_for_where_there_are_units_too(capsys, registry, wavs, tmp_path):
    for found in run_on_zoo(capsys, registry, "units", wavs, "--codes"):
        assert len(found["codes"]) == 2
    (summary,) = run_on_zoo(capsys, registry, "units", wavs, "--codes", "--out", tmp_path / "codes", "--workers", "1")
    assert summary["frames"] == 12800
    arguments = ["units", str(wavs), "--zoo", "toy", "--registry", str(registry), "--codes", "--lmbda", "1"]
    assert cli.main(arguments) == 2
    assert "leave out --lmbda" in capsys.readouterr().err


def test_a_person_reads_each_level(terminal, capsys, codec_only, wavs, tmp_path):
    arguments = ["--zoo", "toy-codec", "--registry", str(codec_only)]
    assert cli.main(["units", str(wavs / "up.wav"), *arguments]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert "6400 frames of 2 codes in 0.80 s, 64000 bits per second" in first
    assert [line[:5] for line in rest if line[:5].strip()] == ["  1: ", "  2: "]
    assert cli.main(["units", str(wavs), "--out", str(tmp_path / "codes"), "--workers", "1", *arguments]) == 0
    assert "12800 frames of 2 codes of 2 recordings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("score {wavs}", "quantizer"),
        ("continue {wavs}", "quantizer"),
        ("eval pairs {wavs}/pairs.csv", "quantizer"),
        ("eval sweep {wavs} --k 4 --lmbda 1", "quantizer"),
        ("units {wavs} --rate 10", "quantizer"),
    ],
)
def test_a_verb_without_its_role_is_refused_by_name(capsys, codec_only, wavs, tmp_path, words, role):
    (wavs / "pairs.csv").write_text("positive,negative\nup.wav,down.wav\n")
    arguments = [*words.format(wavs=wavs).split(), "--zoo", "toy-codec", "--registry", str(codec_only)]
    out = [] if words.startswith(("score", "units")) else ["--out", str(tmp_path / "out")]
    assert cli.main([*arguments, *out]) == 2
    assert f"The system toy-codec of the zoo 'toy-codec' has no {role}." in capsys.readouterr().err
