"""TWIST as a system of the zoo: a small one of random weights in the published formats runs through the verbs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import hubconf
from slmcore import audio
from slmcore.errors import CheckpointError
from slmzoo import cli, hub
from slmzoo.evaluation.report.results import items_of
from slmzoo.pipeline import Pipeline
from tests.reference import tiny_twist
from tests.reference.recipe import GOLDEN

K = tiny_twist.K


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_twist.write(tmp_path_factory.mktemp("twist"))


@pytest.fixture(scope="module")
def twist(registry: Path) -> Pipeline:
    return hub.pipeline(zoo="tiny-twist", registry=registry)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wav, rate = audio.load(GOLDEN / "speech.wav")
    path = tmp_path_factory.mktemp("wavs") / "talk.wav"
    audio.write(path, torch.cat([wav, 0.5 * wav])[:, : 2 * rate], rate)
    return path


def source(registry: Path) -> dict:
    return {"zoo": "tiny-twist", "registry": registry}


def test_units_are_the_nearest_codes_of_layer_11(twist, talk):
    wav, rate = audio.load(talk)
    units = twist.units(wav, rate)
    features = twist.encoder.features(audio.mono(wav), rate, 11)
    nearest = torch.cdist(features.double(), twist.quantizer.codebook.double()).argmin(1)
    assert torch.equal(units.framewise(), nearest)
    assert units.frame_rate == 25.0
    point = units.operating_point
    assert (point.zoo, point.encoder, point.layer, point.k, point.lmbda) == ("tiny-twist", "tiny", 11, K, 0.0)


def test_the_pipeline_knows_its_files(twist):
    assert {kind: row.variant for kind, row in twist.sources.items()} == {
        "mhubert": None,
        "codebook": None,
        "twist_ulm": "350M",
        "unit_hifigan": "lj",
        "unit_hifigan_config": "lj",
    }


def test_scores_are_of_all_units_but_the_first(twist, talk, registry):
    units = twist.units(*audio.load(talk))
    (logprobs,) = twist.ulm.logprobs([units])
    assert len(logprobs) == len(units) - 1
    assert twist.loglikelihood(units) == pytest.approx(float(logprobs.sum()), abs=1e-3)
    assert twist.loglikelihoods([units], "mean")[0] == pytest.approx(float(logprobs.mean()), abs=1e-4)
    other = hub.language_model(variant="7B", **source(registry))
    assert not torch.allclose(other.logprobs([units])[0], logprobs)


def test_continuations_are_drawn_as_published(twist, talk):
    wav, rate = audio.load(talk)
    (made,) = twist.continue_speech(wav, rate, 1.0, seed=3)
    prompt = twist.units(wav[:, :rate], rate)
    assert made.prompt.tolist() == prompt.units.tolist()
    new = twist.ulm.generate([prompt], 2 * len(prompt), temperature=0.8, top_k=50, seed=3)
    assert made.units.tolist() == new.units[0].tolist()
    assert len(made.units) > 0
    spoken = twist.synthesizer(torch.cat([made.prompt, made.units]), dur_prediction=True)
    assert torch.equal(made.speech.wav[0], spoken)
    (alone,) = twist.continue_speech(wav, rate, 1.0, seed=3, joined=False)
    start = 640 * int(made.speech.durations[: len(prompt)].sum())
    assert torch.equal(alone.speech.wav, made.speech.wav[:, start:])
    with pytest.raises(ValueError, match="at least one unit"):
        twist.continue_speech()


def test_resynthesis_keeps_the_units_durations_unless_asked(twist, talk):
    wav, rate = audio.load(talk)
    units = twist.units(wav, rate)
    (kept,) = twist.resynthesize(wav, rate)
    assert kept.durations.tolist() == units.durations.tolist()
    assert (kept.sample_rate, kept.wav.shape) == (16000, (1, 640 * int(units.durations.sum())))
    assert torch.equal(kept.wav[0], twist.synthesizer(units.framewise()))
    (predicted,) = twist.resynthesize(wav, rate, keep_durations=False)
    assert torch.equal(predicted.wav[0], twist.synthesizer(units.units, dur_prediction=True))


def test_entry_points(twist, talk, registry):
    model, extract_features = hubconf.mhubert_base_25hz(**source(registry))
    wav, rate = audio.load(talk)
    features = extract_features(model, audio.mono(wav), rate)
    assert torch.equal(features, twist.encoder.features(audio.mono(wav), rate, 11))
    assert torch.equal(hubconf.twist_codebook(**source(registry)), twist.quantizer.codebook)
    assert hubconf.twist_ulm("7B", **source(registry)).config.architecture == "llama"
    assert hubconf.unit_hifigan(**source(registry)).k == K
    expresso = hubconf.unit_hifigan("expresso", **source(registry))
    assert (expresso.frame_rate, expresso.speakers[6], expresso.styles) == (50.0, "ex06", ())
    with pytest.raises(ValueError, match=r"`speaker` must be 0 to 6, or one of ex00, .*ex06, but is 'ex99'"):
        expresso(torch.tensor([1]), speaker_id="ex99")


def test_checkpoints_of_ones_own(twist, registry, tmp_path):
    files = registry.parent
    zipped = hubconf.twist_ulm(checkpoint=files / "TWIST-7B.zip")
    folder = hubconf.twist_ulm(checkpoint=files / "TWIST-7B")
    assert torch.equal(zipped.logprobs([[1, 2, 3]])[0], folder.logprobs([[1, 2, 3]])[0])
    vocoder = hubconf.unit_hifigan(checkpoint=files / "expresso.pt", config=files / "expresso.json")
    assert vocoder.config.num_styles == 5
    shutil.copy(files / "expresso.pt", tmp_path / "expresso.pt")
    with pytest.raises(CheckpointError, match="config="):
        hubconf.unit_hifigan(checkpoint=tmp_path / "expresso.pt")
    assert hubconf.mhubert_base_25hz(checkpoint=files / "mhubert.pt")[0].hop == 640


def test_variants_and_points_that_do_not_exist_are_refused(registry):
    for call, words in (
        (lambda **o: hub.pipeline(variant="13B", **o), "`variant` must be one of 350M, 7B, but is '13B'"),
        (lambda **o: hubconf.unit_hifigan("none", **o), "`variant` must be one of lj, expresso, but is 'none'"),
        (lambda **o: hub.pipeline(k=100, **o), "k=100"),
        (lambda **o: hub.pipeline(lmbda=5.0, **o), "lmbda=5"),
        (lambda **o: hubconf.twist_codebook(100, **o), "k=100"),
    ):
        with pytest.raises(ValueError, match=words):
            call(**source(registry))


def test_units_alone_take_any_lambda(registry, talk):
    made = hub.pipeline(lmbda=50.0, with_ulm=False, with_speech=False, **source(registry))
    wav, rate = audio.load(talk)
    assert made.quantizer.operating_point.lmbda == 50.0
    published = hub.pipeline(with_ulm=False, with_speech=False, **source(registry))
    assert published.quantizer.operating_point.lmbda == 0.0
    assert len(made.units(wav, rate)) < len(published.units(wav, rate))


def run(capsys: pytest.CaptureFixture[str], words: str, registry: Path, *arguments: str | Path) -> list[dict]:
    """The rows of a command that must go well, on the tiny zoo."""
    given = [*words.split(), *map(str, arguments), "--zoo", "tiny-twist", "--registry", str(registry), "--json"]
    status = cli.main(given)
    output = capsys.readouterr()
    assert status == 0, output.err
    return [json.loads(line) for line in output.out.splitlines()]


def test_commands(capsys, twist, registry, talk, tmp_path):
    units = twist.units(*audio.load(talk))
    (row,) = run(capsys, "units", registry, talk)
    assert (row["units"], row["durations"], row["k"]) == (units.units.tolist(), units.durations.tolist(), K)
    (row,) = run(capsys, "score", registry, talk, "--reduction", "mean")
    assert row["loglikelihood"] == pytest.approx(twist.loglikelihoods([units], "mean")[0], abs=1e-4)
    assert (row["bos"], row["eos"]) == (False, False)
    (row,) = run(capsys, "continue", registry, talk, "--prompt-seconds", "1", "--seed", "3", "--out", tmp_path)
    assert row["units"] == [twist.continue_speech(*audio.load(talk), 1.0, seed=3)[0].units.tolist()]
    assert audio.load(row["wavs"][0])[1] == 16000
    (row,) = run(capsys, "resynth", registry, talk, "--out", tmp_path, "--no-keep-durations")
    spoken = twist.resynthesize(*audio.load(talk), keep_durations=False)[0]
    assert row["wav_seconds"] == [round(spoken.seconds, 3)]
    (row,) = run(capsys, "continue", registry, talk, "--variant", "7B", "--prompt-seconds", "1", "--out", tmp_path)
    assert row["units"] != [twist.continue_speech(*audio.load(talk), 1.0)[0].units.tolist()]
    files = {row["kind"] for row in run(capsys, "fetch", registry)}
    assert files == {"mhubert", "codebook", "twist_ulm", "unit_hifigan", "unit_hifigan_config"}


def test_stories_are_scored_by_twists_own_convention(capsys, twist, registry, talk, tmp_path):
    wav, rate = audio.load(talk)
    (tmp_path / "stories").mkdir()
    for name, start in (("a_1_correct", 0), ("a_1_incorrect", 8000), ("b_2_correct", 4000), ("b_2_incorrect", 12000)):
        audio.write(tmp_path / "stories" / f"{name}.wav", wav[:, start : start + 12000], rate)
    for more in ((), ("--convention", "slamkit")):
        out = tmp_path / f"out{len(more)}"
        run(capsys, "eval storycloze", registry, tmp_path / "stories", "--out", out, *more)
        content = json.loads((out / "storycloze.json").read_text())
        assert content["conventions"]["same_as"] == ["slamkit", "twist", "salmon"]
        scored = {row["item"]: float(row["value"]) for row in items_of(out / "storycloze.json", "loglikelihood")}
        units = twist.units(*audio.load(tmp_path / "stories" / "b_2_incorrect.wav"))
        mean = float(twist.ulm.logprobs([units])[0].double().mean())
        assert scored["b_2_incorrect"] == pytest.approx(mean, abs=1e-4)


def test_units_go_to_shards(capsys, registry, talk, tmp_path):
    (summary,) = run(capsys, "units", registry, talk, "--out", tmp_path / "units", "--workers", "1")
    assert (summary["records"], summary["k"], summary["lmbda"]) == (1, K, 0.0)


def test_converted_files_load_equal(capsys, twist, registry, tmp_path):
    shutil.copy(registry.parent / "lj.json", registry.parent / "lj_config.json")
    for name, kind in (("mhubert.pt", "mhubert"), ("TWIST-350M.zip", "twist_ulm"), ("lj.pt", "unit_hifigan")):
        target = tmp_path / f"{kind}.safetensors"
        assert cli.main(["convert", str(registry.parent / name), str(target), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind
    assert torch.equal(
        hubconf.twist_ulm(checkpoint=tmp_path / "twist_ulm.safetensors").logprobs([[1, 2, 3]])[0],
        twist.ulm.logprobs([[1, 2, 3]])[0],
    )
    units = torch.arange(9)
    again = hubconf.unit_hifigan(checkpoint=tmp_path / "unit_hifigan.safetensors")
    assert torch.equal(again(units), twist.synthesizer(units))
    wav = torch.randn(1, 3000)
    model, _ = hubconf.mhubert_base_25hz(checkpoint=tmp_path / "mhubert.safetensors")
    assert torch.equal(model.features(wav, 16000), twist.encoder.features(wav, 16000))


def test_a_saved_pipeline_loads_back_equal(twist, talk, tmp_path):
    twist.save_pretrained(tmp_path / "saved")
    again = Pipeline.from_pretrained(tmp_path / "saved")
    wav, rate = audio.load(talk)
    assert again.units(wav, rate).units.tolist() == twist.units(wav, rate).units.tolist()
    assert torch.equal(again.resynthesize(wav, rate)[0].wav, twist.resynthesize(wav, rate)[0].wav)
    assert again.loglikelihood(wav=wav, sr=rate) == pytest.approx(twist.loglikelihood(wav=wav, sr=rate), abs=1e-4)
