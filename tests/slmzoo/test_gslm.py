"""GSLM as a system of the zoo: a small one of random weights in the published formats runs through the verbs."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

import hubconf
from slmcore import audio
from slmcore.errors import CheckpointError, DigestError
from slmcore.files.digests import sha256_of
from slmcore.roles import Synthesizer, UnitLanguageModel
from slmcore.speech import Speech
from slmzoo import cli, hub
from slmzoo.pipeline import Pipeline
from slmzoo.systems import gslm as system
from tests.reference import tiny_gslm
from tests.reference.recipe import GOLDEN


@pytest.fixture(scope="module")
def gslm_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gslm.write(tmp_path_factory.mktemp("gslm"))


@pytest.fixture(scope="module")
def gslm(gslm_registry: Path) -> Pipeline:
    return hub.pipeline(zoo="tiny-gslm", registry=gslm_registry)


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wav, rate = audio.load(GOLDEN / "speech.wav")
    path = tmp_path_factory.mktemp("wavs") / "talk.wav"
    audio.write(path, wav[:, : 2 * rate], rate)
    return path


def speech(path: Path) -> tuple[torch.Tensor, int]:
    return audio.load(path)


def test_units_are_the_nearest_codes(gslm, two_seconds):
    wav, rate = speech(two_seconds)
    units, features = gslm.units(wav, rate), gslm.encoder.features(wav, rate, tiny_gslm.LAYER)
    nearest = torch.cdist(features.double(), gslm.quantizer.codebook.double()).argmin(1)
    assert torch.equal(units.framewise(), nearest)
    point = units.operating_point
    assert (point.zoo, point.k, point.lmbda, point.num_neighbors, point.layer) == ("tiny-gslm", 20, 0.0, 20, 3)


def test_parts_play_their_roles_and_remember_their_rows(gslm):
    assert isinstance(gslm.ulm, UnitLanguageModel)
    assert isinstance(gslm.synthesizer, Synthesizer)
    kinds = {"wavlm", "gslm_codebook", "gslm_ulm", "gslm_tacotron", "gslm_codes", "waveglow"}
    assert set(gslm.sources) == kinds
    assert (gslm.synthesizer.frame_rate, gslm.synthesizer.sample_rate, gslm.synthesizer.k) == (50.0, 22050, 20)


def test_scores_are_those_of_the_language_model(gslm, two_seconds):
    units = gslm.units(*speech(two_seconds))
    ids = gslm.ulm.tokenizer.encode(units)
    assert gslm.loglikelihood(units) == pytest.approx(gslm.ulm.loglikelihood(ids), abs=1e-4)


def test_speech_comes_back_with_the_durations_of_its_units(gslm, two_seconds):
    wav, rate = speech(two_seconds)
    first, second = gslm.resynthesize(wav, rate, 2, seed=1)
    assert first.sample_rate == 22050
    assert first.wav.shape[1] == 256 * int(first.durations.sum()) > 0
    assert len(first.durations) == len(gslm.units(wav, rate))
    assert first.samples_of(len(first.durations)) == first.wav.shape[1]
    assert not torch.equal(first.wav[:, :1000], second.wav[:, :1000])
    again = gslm.resynthesize(wav, rate, seed=1)[0]
    torch.testing.assert_close(again.wav, first.wav, atol=1e-5, rtol=0)
    assert first.finished


def test_speech_goes_on_from_a_prompt_and_from_nothing(gslm, two_seconds):
    whole = gslm.continue_speech(*speech(two_seconds), 1.0, max_new_units=9, num_samples=2, seed=2)
    alone = gslm.continue_speech(*speech(two_seconds), 1.0, max_new_units=9, num_samples=2, seed=2, joined=False)
    assert [len(made.prompt) > 0 for made in whole] == [True, True]
    for joined, cut in zip(whole, alone, strict=True):
        assert cut.speech.wav.shape[1] <= joined.speech.wav.shape[1]
        assert len(cut.speech.durations) == len(cut.units)
    nothing = gslm.continue_speech(max_new_units=5)[0]
    assert (len(nothing.prompt), len(nothing.units) >= 1) == (0, True)


def test_units_that_are_none_are_spoken_as_silence(gslm):
    spoken = gslm.synthesizer.speak([[], [3, 4], torch.tensor([5])])
    assert [speech.empty for speech in spoken] == [True, False, False]
    assert (spoken[0].seconds, spoken[0].finished, spoken[0].durations.tolist()) == (0.0, True, [])


def test_a_sequence_is_spoken_as_alone_where_its_number_is_the_same(gslm):
    batch = gslm.synthesizer.speak([[7, 3, 19], [5, 1, 0, 4]], seed=4)
    alone = gslm.synthesizer.speak([[7, 3, 19]], seed=4)[0]
    torch.testing.assert_close(batch[0].wav, alone.wav, atol=1e-4, rtol=0)


def spoken_by(pipeline: Pipeline, units: list[int]) -> Speech:
    assert pipeline.synthesizer is not None
    return pipeline.synthesizer.speak([units], seed=3, max_frames=5)[0]


def test_int8_weights_score_and_speak_nearly_alike(gslm, gslm_registry):
    rounded = hub.pipeline(zoo="tiny-gslm", registry=gslm_registry, weights="int8")
    units = [7, 3, 19, 4]
    assert rounded.loglikelihood(units) != gslm.loglikelihood(units)
    assert rounded.loglikelihood(units) == pytest.approx(gslm.loglikelihood(units), abs=0.2)
    exact, found = (spoken_by(each, units) for each in (gslm, rounded))
    assert found.wav.shape == exact.wav.shape == (1, 5 * 256)
    assert 0 < float((found.wav - exact.wav).abs().max()) < 0.5 * float(exact.wav.std())


def test_options_of_other_synthesisers_are_refused_by_name(capsys, gslm, gslm_registry, two_seconds, tmp_path):
    for name, value in (("temperature", 0.5), ("top_p", 0.9), ("max_codec_tokens_per_phone", 3)):
        with pytest.raises(ValueError, match=rf"`{name}` must be left out for a TacotronWaveGlow.*{value}.*sigma"):
            gslm.resynthesize(*speech(two_seconds), **{name: value})
    where = ["--zoo", "tiny-gslm", "--registry", str(gslm_registry), "--out", str(tmp_path)]
    assert cli.main(["resynth", str(two_seconds), *where, "--temperature", "0.5"]) != 0
    assert "`temperature` must be left out for a TacotronWaveGlow" in capsys.readouterr().err


def run(capsys: pytest.CaptureFixture[str], registry: Path, *arguments: str | Path) -> list[dict]:
    status = cli.main([*map(str, arguments), "--zoo", "tiny-gslm", "--registry", str(registry), "--json"])
    output = capsys.readouterr()
    assert status == 0, output.err
    return [json.loads(line) for line in output.out.splitlines()]


def test_commands(capsys, gslm, gslm_registry, two_seconds, tmp_path):
    options = ("--variant", "hubert", "--k", "20")
    units = gslm.units(*speech(two_seconds))
    (row,) = run(capsys, gslm_registry, "units", two_seconds, *options)
    assert (row["units"], row["k"], row["lmbda"]) == (units.units.tolist(), 20, 0.0)
    (row,) = run(capsys, gslm_registry, "score", two_seconds, *options)
    assert row["loglikelihood"] == pytest.approx(gslm.loglikelihood(units), abs=1e-3)
    (row,) = run(capsys, gslm_registry, "resynth", two_seconds, *options, "--out", tmp_path)
    assert Path(row["wavs"][0]).is_file()
    assert row["finished"] == [True]
    (row,) = run(capsys, gslm_registry, "continue", two_seconds, *options, "--out", tmp_path, "--max-new-units", "5")
    assert Path(row["wavs"][0]).is_file()
    (row,) = run(capsys, gslm_registry, "units", two_seconds, "--variant", "hubert", "--out", tmp_path / "units")
    assert (row["records"], row["units"], row["k"]) == (1, len(units), 20)
    kinds = [row["kind"] for row in run(capsys, gslm_registry, "fetch", *options[:2])]
    assert kinds == ["wavlm", "gslm_codebook", "gslm_ulm", "gslm_tacotron", "gslm_codes", "waveglow"]


def test_other_features_and_points_are_refused_with_those_there_are(gslm_registry):
    source = {"zoo": "tiny-gslm", "registry": gslm_registry}
    with pytest.raises(ValueError, match=r"`variant` must be features of the zoo 'tiny-gslm': hubert"):
        hub.pipeline(variant="cpc", **source)
    with pytest.raises(ValueError, match=r"gslm_codebook.*Valid.*20"):
        hub.pipeline(k=100, with_ulm=False, with_speech=False, **source)
    with pytest.raises(ValueError, match=r"gslm_ulm.*lmbda=5.*\(20, 0\)"):
        hub.language_model(lmbda=5.0, **source)
    assert hub.quantizer(lmbda=5.0, **source).operating_point.lmbda == 5.0
    with pytest.raises(ValueError, match=r"gslm_ulm.*k=100"):
        hubconf.gslm_ulm("hubert", 100, **source)


def test_entry_points_load_from_a_zoo_or_from_files(gslm, gslm_registry):
    source, folder = {"zoo": "tiny-gslm", "registry": gslm_registry}, gslm_registry.parent
    units = [7, 3, 19]
    for options in (source, {"checkpoint": folder / "hubert20_lm.tgz"}):
        ulm, tokenizer = hubconf.gslm_ulm("hubert", 20, **options)
        assert ulm.loglikelihood(tokenizer.encode(units)) == pytest.approx(gslm.loglikelihood(units), abs=1e-4)
    for options in (source, {"checkpoint": folder / "tts_checkpoint_best.pt"}):
        tacotron = hubconf.gslm_tacotron("hubert", 20, **options)
        assert tacotron.codes.encode(units).ids.tolist()[:3] == [1, 2, 3]
    named = hubconf.gslm_tacotron(checkpoint=folder / "tts_checkpoint_best.pt", code_dict=folder / "code_dict")
    assert named.k == 20
    for options in (source, {"checkpoint": folder / "waveglow.pt"}):
        assert hubconf.waveglow(**options).config.mels == 80
    with pytest.raises(CheckpointError, match="below k = 12"):
        hubconf.gslm_ulm("hubert", 12, checkpoint=folder / "hubert20_lm.tgz")


def with_rows(registry: Path, **changes: dict) -> Path:
    """The registry with other fields in the rows of some kinds."""
    content = json.loads(registry.read_text())
    content["rows"] = [{**row, **changes.get(row["kind"], {})} for row in content["rows"]]
    path = registry.with_name("changed.json")
    path.write_text(json.dumps(content))
    return path


def test_tables_are_held_to_their_digest_and_told_of_where_none_is_known(gslm_registry, caplog, tmp_path):
    files = shutil.copytree(gslm_registry.parent, tmp_path / "files")
    gslm_registry = files / gslm_registry.name
    table = gslm_registry.parent / "code_dict"
    right, wrong = {"gslm_codes": {"sha256": sha256_of(table)}}, {"gslm_codes": {"sha256": "0" * 64}}
    with caplog.at_level(logging.WARNING):
        system.tacotron(zoo="tiny-gslm", registry=with_rows(gslm_registry, **right))
        assert not caplog.records
        system.tacotron(zoo="tiny-gslm", registry=gslm_registry)
        system.ulm(zoo="tiny-gslm", registry=gslm_registry)
    assert ["code_dict" in caplog.text, "dict.txt" in caplog.text, len(caplog.records)] == [True, True, 2]
    with pytest.raises(DigestError):
        system.tacotron(zoo="tiny-gslm", registry=with_rows(gslm_registry, **wrong))


def test_a_saved_pipeline_loads_back_equal(gslm, two_seconds, tmp_path):
    gslm.save_pretrained(tmp_path / "saved")
    again = Pipeline.from_pretrained(tmp_path / "saved")
    units = gslm.units(*speech(two_seconds))
    assert again.units(*speech(two_seconds)).units.tolist() == units.units.tolist()
    assert again.loglikelihood(units) == pytest.approx(gslm.loglikelihood(units), abs=1e-4)
    spoken = [each.synthesizer.speak([units.units[:8]], seed=3)[0] for each in (gslm, again)]
    torch.testing.assert_close(spoken[0].wav, spoken[1].wav, atol=1e-4, rtol=0)


def test_frame_rates_of_units_follow_the_features(gslm_registry):
    file = gslm_registry.parent / "tts_checkpoint_best.pt"
    rates = {
        features: hubconf.gslm_tacotron(features, 20, checkpoint=file).config.frame_rate
        for features in ("hubert", "cpc")
    }
    assert rates == {"hubert": 50.0, "cpc": 100.0}
    faster = with_rows(gslm_registry, gslm_tacotron={"frame_rate": 100.0})
    with pytest.raises(ValueError, match=r"frames per second is 50.0 for the encoder, but 100.0"):
        hub.pipeline(zoo="tiny-gslm", registry=faster)


def test_converted_files_load_equal_and_need_no_table(capsys, gslm, gslm_registry, tmp_path):
    folder = gslm_registry.parent
    files = {"gslm_ulm": "hubert20_lm.tgz", "gslm_tacotron": "tts_checkpoint_best.pt", "waveglow": "waveglow.pt"}
    for kind, name in files.items():
        target = tmp_path / f"{kind}.safetensors"
        assert cli.main(["convert", str(folder / name), str(target), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind
    beside = tmp_path / "beside.safetensors"
    assert cli.main(["convert", str(folder / "lm_km20" / "checkpoint_best.pt"), str(beside)]) == 0
    units = [7, 3, 19, 4]
    for path in (tmp_path / "gslm_ulm.safetensors", beside):
        assert hubconf.gslm_ulm(checkpoint=path)[0].loglikelihood(gslm.ulm.tokenizer.encode(units)) == pytest.approx(
            gslm.loglikelihood(units), abs=1e-4
        )
    tacotron = hubconf.gslm_tacotron(checkpoint=tmp_path / "gslm_tacotron.safetensors")
    ids = tacotron.codes.encode(units).ids
    torch.testing.assert_close(tacotron([ids])[0].mel, gslm.synthesizer.tacotron([ids])[0].mel)
    mel, waveglow = torch.randn(80, 3), hubconf.waveglow(checkpoint=tmp_path / "waveglow.safetensors")
    torch.testing.assert_close(waveglow.speak(mel), gslm.synthesizer.waveglow.speak(mel))
