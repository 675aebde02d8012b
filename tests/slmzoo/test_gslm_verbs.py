"""Every verb of the command line with each of GSLM's four features, on real speech and files in published containers.

The models are small ones of random weights by the goldens' recipe: nothing is claimed of quality.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from slmcore import audio
from slmcore.roles import UnitLanguageModel
from slmzoo import cli, hub
from slmzoo.evaluation.report.results import read
from tests.reference import four_gslm, goldens

K, FEATURES = four_gslm.K, four_gslm.FEATURES


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return four_gslm.write(tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wav, rate = goldens.speech()
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    audio.write(path, wav[:, : round(1.5 * rate)], rate)
    return path


@pytest.fixture
def run(registry, talk, capsys, tmp_path):
    """A command on the speech, by the lines that it tells."""

    def call(*arguments: str, status: int = 0) -> list[dict]:
        source = ["--zoo", "four", "--registry", str(registry)]
        assert cli.main([*arguments, *source, "--json"]) == status
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


@pytest.mark.parametrize("features", FEATURES)
def test_speech_to_units_scores_and_speech_again(features, run, talk, tmp_path):
    point = ["--variant", features, "--k", str(K)]
    (units,) = run("units", str(talk), *point)
    assert (units["k"], units["lmbda"], units["frame_rate"]) == (K, 0.0, FEATURES[features][2])
    assert len(set(units["units"])) > 3
    (score,) = run("score", str(talk), *point)
    assert score["num_units"] == len(units["units"])
    assert score["loglikelihood"] < 0
    (spoken,) = run("resynth", str(talk), *point, "--out", str(tmp_path / "spoken"))
    (more,) = run("continue", str(talk), *point, "--max-new-units", "4", "--out", str(tmp_path / "more"))
    for row in (spoken, more):
        wav, rate = audio.load(row["wavs"][0])
        assert rate == 22050
        assert wav.shape[1] > 256


@pytest.mark.parametrize("features", FEATURES)
def test_corpora_and_evaluations(features, run, talk, tmp_path):
    point = ["--variant", features, "--k", str(K)]
    (summary,) = run("units", str(talk.parent), *point, "--out", str(tmp_path / "shards"))
    (alone,) = run("units", str(talk), *point)
    assert (summary["records"], summary["units"]) == (1, len(alone["units"]))
    run("eval", "units", str(talk.parent), *point, "--out", str(tmp_path / "eval"))
    scores = {s["metric"]: s["value"] for s in read(tmp_path / "eval" / "units.json")["scores"]}
    assert scores["codes_used"] == len(set(alone["units"]))
    item = tmp_path / "phones.item"
    head = "#file onset offset #phone prev-phone next-phone speaker\n"
    times = [(i / 10, "ab"[i % 2]) for i in range(8)]
    item.write_text(head + "".join(f"talk {at:.2f} {at + 0.1:.2f} {phone} x y s\n" for at, phone in times))
    given = ["--item", str(item), "--speakers", "within", "--out", str(tmp_path / "eval")]
    run("eval", "abx", str(talk.parent), *point, *given)
    assert 0 <= read(tmp_path / "eval" / "abx.json")["scores"][0]["value"] <= 1


@pytest.mark.parametrize("features", FEATURES)
def test_batches_give_each_what_it_gets_alone_and_parts_know_their_point(features, registry):
    pipeline = hub.pipeline(variant=features, zoo="four", registry=registry)
    wav, rate = goldens.speech()
    whole, half = wav[:, : 2 * rate], wav[:, rate // 3 : rate]
    for found, alone in zip(pipeline.encoder.features_batch([whole, half], rate), (whole, half), strict=True):
        torch.testing.assert_close(found, pipeline.encoder.features(alone, rate), atol=2e-4, rtol=1e-4)
    assert isinstance(pipeline.ulm, UnitLanguageModel)
    assert (pipeline.operating_point.encoder, pipeline.operating_point.layer) == (
        four_gslm.KINDS[features], FEATURES[features][1],
    )  # fmt: skip


@pytest.mark.parametrize("features", FEATURES)
def test_bad_input_is_refused_by_name(features, registry):
    source = {"zoo": "four", "registry": registry}
    pipeline = hub.pipeline(variant=features, **source)
    with pytest.raises(ValueError, match=r"(?s)`wav` must be.*at least"):
        pipeline.units(torch.zeros(1, 100), 16000)
    with pytest.raises(ValueError, match=rf"`units` must be in 0\.\.{K - 1}.*{K}"):
        pipeline.loglikelihood([0, K])
    with pytest.raises(ValueError, match=rf"{K}"):
        pipeline.synthesizer.speak([[0, K]])
    with pytest.raises(ValueError, match=rf"k=100.*{K}"):
        hub.pipeline(100, variant=features, **source)
