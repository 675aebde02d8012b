"""The verbs of the page over the loopback give what the pipeline gives."""

from __future__ import annotations

import io
import json

import pytest
import torch

from dpdp import bits_per_second
from slmcore import audio
from slmzoo.web.limits import MissingError
from slmzoo.web.studio import Studio
from slmzoo.web.systems import Systems
from tests.reference import tiny_zoo
from tests.reference.recipe import recipe_state
from tests.slmzoo.web.conftest import received, serving
from tests.toy_system import zoo as toy_zoo


def test_the_systems_are_listed_with_what_is_missing(client) -> None:
    systems = client.get("/api/systems")["systems"]
    assert systems[0] == {"zoo": "tiny", "here": True, "why": ""}
    by_name = {each["zoo"]: each for each in systems}
    assert by_name["demo"]["here"]
    assert not by_name["dp-slm"]["here"]
    assert "slmzoo fetch --zoo dp-slm" in by_name["dp-slm"]["why"]


def test_a_system_tells_its_sizes_and_roles(client) -> None:
    about = client.get("/api/systems/tiny")
    assert (about["k"], about["lmbda"], about["scale"], about["frame_rate"]) == (20, 4.0, 4.0, 50.0)
    assert about["units"]
    assert about["stream"]
    assert about["language_model"]
    assert about["speech"]
    assert "keep_durations" in about["speech_options"]


def test_units_are_those_of_the_pipeline(client, recording, samples_and_rate, pipeline) -> None:
    found, wanted = (
        client.post("/api/units", {"recording": recording["id"], "zoo": "tiny"}),
        pipeline.units(*samples_and_rate),
    )
    assert found["units"] == wanted.units.tolist()
    assert found["durations"] == wanted.durations.tolist()
    assert found["bits_per_second"] == pytest.approx(bits_per_second([wanted]), abs=1e-3)
    assert found["units_per_second"] == pytest.approx(len(wanted) / wanted.seconds, abs=1e-3)


@pytest.mark.parametrize("lmbda", [0, 1.5, 400])
def test_units_at_another_lambda(client, recording, samples_and_rate, pipeline, lmbda) -> None:
    found = client.post("/api/units", {"recording": recording["id"], "zoo": "tiny", "lmbda": lmbda})
    (wanted,) = pipeline.quantizer.sweep([pipeline.features(*samples_and_rate)], [lmbda])[0]
    assert found["units"] == wanted.units.tolist()
    assert found["lmbda"] == lmbda


def test_features_are_kept_for_the_next_lambda(systems, speech, pipeline, monkeypatch) -> None:
    studio = Studio(systems)
    wav, rate = speech
    asked = {"recording": studio.shelf.keep(wav, rate, "a").id, "zoo": "tiny"}
    studio.units(asked)
    monkeypatch.setattr(type(pipeline.encoder), "features", None)
    assert len(studio.units({**asked, "lmbda": 0.0})["units"]) >= len(studio.units(asked)["units"])


def test_speech_is_made_again(client, recording, samples_and_rate, pipeline) -> None:
    asked = {"recording": recording["id"], "zoo": "tiny", "samples": 2, "seed": 3, "top_p": 0.7, "temperature": 0.9}
    answer = client.post("/api/resynthesize", asked)
    assert answer["notes"] == []
    spoken = pipeline.resynthesize(*samples_and_rate, 2, seed=3, top_p=0.7, temperature=0.9, keep_durations=True)
    for sound, wanted in zip(answer["sounds"], spoken, strict=True):
        _, content, headers = client.request("GET", f"/api/sounds/{sound['sound']}")
        wav, rate = audio.decode(io.BytesIO(content), "sound")
        assert headers["content-type"] == "audio/wav"
        assert rate == wanted.sample_rate
        torch.testing.assert_close(wav, wanted.wav.clamp(-1, 1), atol=1e-3, rtol=0)


def test_speech_of_units_that_the_voice_does_not_know_is_noted(client, recording) -> None:
    answer = client.post("/api/resynthesize", {"recording": recording["id"], "zoo": "tiny", "lmbda": 1.0})
    assert answer["notes"] == ["The voice was trained on units at lambda 4; these are at 1."]


def test_speech_goes_on(client, recording, samples_and_rate, pipeline) -> None:
    asked = {"recording": recording["id"], "zoo": "tiny", "prompt_seconds": 0.5, "samples": 2, "seed": 5}
    answer = client.post("/api/continue", {**asked, "max_new_units": 7, "temperature": 0.8, "top_p": 0.9})
    wanted = pipeline.continue_speech(
        *samples_and_rate, 0.5, num_samples=2, seed=5, max_new_units=7, temperature=0.8, top_p=0.9
    )
    assert [each["units"] for each in answer["sounds"]] == [each.units.tolist() for each in wanted]
    assert answer["prompt"] == wanted[0].prompt.tolist()


def test_likelihood_is_told_unit_by_unit(client, recording, samples_and_rate, pipeline) -> None:
    answer = client.post("/api/likelihood", {"recording": recording["id"], "zoo": "tiny", "lmbda": 0.0})
    units = pipeline.units(*samples_and_rate)
    assert answer["units"] == units.units.tolist()
    assert answer["total"] == pytest.approx(pipeline.loglikelihood(units), rel=1e-5)
    assert sum(value for value in answer["log_probs"] if value is not None) == pytest.approx(answer["total"], rel=1e-4)
    assert len(answer["log_probs"]) == len(units)


def streamed(client, wav, rate, size=320, **more):
    """Units, recording, and segments of speech of a live recording."""
    socket, units, durations, speech, kept = client.live(zoo="tiny", rate=rate, name="live", **more), [], [], [], None
    assert received(socket) == {"ready": True}
    for chunk in wav[0].split(size):
        socket.send(chunk.numpy().astype("<f4").tobytes())
    socket.send(json.dumps({"stop": True}))
    while kept is None:
        message = received(socket)
        if isinstance(message, bytes):
            speech.append(len(message) // 4)
            continue
        units += message.get("units", [])
        durations += message.get("durations", [])
        kept = message.get("recording")
    socket.close()
    return units, durations, kept, speech


def test_live_units_are_those_of_the_stream(client, speech, pipeline) -> None:
    client.clear()
    wav, rate = speech[0][:, :24000], speech[1]
    units, durations, kept, _ = streamed(client, wav, rate)
    stream = pipeline.stream(rate)
    wanted = [stream.push(wav), stream.flush()]
    assert units == [unit for part in wanted for unit in part.units.tolist()]
    assert durations == [lasts for part in wanted for lasts in part.durations.tolist()]
    assert kept["seconds"] == pytest.approx(1.5)
    assert client.get("/api/recordings")["recordings"] == [kept]


def test_units_come_while_one_speaks(client, speech) -> None:
    client.clear()
    wav, rate = speech
    socket = client.live(zoo="tiny", rate=rate)
    assert received(socket)["ready"]
    socket.send(wav[0, :rate].numpy().astype("<f4").tobytes())
    first = received(socket)
    assert first["heard"] == 1.0
    shown = sum(first["durations"]) + (first["current"][1] if first["current"] else 0)
    assert shown / first["frame_rate"] >= 0.5
    socket.close()


def test_finished_units_are_spoken_back(client, speech) -> None:
    client.clear()
    units, _, _, back = streamed(client, speech[0][:, :32000], speech[1], size=3200, back=True)
    assert units
    assert len(back) >= 2
    assert min(back) > 0


def test_systems_of_other_kinds_are_served(tmp_path, monkeypatch, speech) -> None:
    monkeypatch.setenv("SLMZOO_SYSTEMS", toy_zoo.MODULES)
    wav, rate = speech
    registries = [toy_zoo.write(tmp_path / "toy"), toy_zoo.write_codec_only(tmp_path / "codec")]
    with serving(Studio(Systems(registry=registries, first="toy"))) as client:
        about = client.get("/api/systems/toy")
        assert (about["stream"], about["scale"], about["units"]) == (False, None, True)
        assert not client.get("/api/systems/toy-codec")["units"]
        made = client.upload(wav[:, :rate], rate)
        found = client.post("/api/units", {"recording": made["id"], "zoo": "toy"})
        assert sum(found["durations"]) == 40
        assert client.post("/api/resynthesize", {"recording": made["id"], "zoo": "toy"})["sounds"]
        copied = client.post("/api/resynthesize", {"recording": made["id"], "zoo": "toy-codec"})
        assert "copy" in copied["notes"][0]
        assert "codec alone" in client.refused("/api/units", {"recording": made["id"], "zoo": "toy-codec"})[1]
        assert "no lambda" in client.refused("/api/units", {"recording": made["id"], "zoo": "toy", "lmbda": 7})[1]
        socket = client.live(zoo="toy", rate=rate)
        assert "LoudestBand cannot be streamed" in received(socket)["error"]


def test_units_of_another_codebook_of_the_zoo(registry, tmp_path, speech, pipeline) -> None:
    codes = recipe_state({"codebook": ((10, 64), "float32")})["codebook"] * 8
    torch.save({"codebook": codes}, tmp_path / "ten.pt")
    row = {"kind": "codebook", "file": "ten.pt", "k": 10, "layer": tiny_zoo.LAYER, "encoder": "tiny"}
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"format": "slmzoo-registry", "version": 1, "zoo": "tiny", "rows": [row]}))
    studio = Studio(Systems(registry=[registry, more], first="tiny", k=tiny_zoo.K, lmbda=tiny_zoo.LMBDA))
    asked = {"recording": studio.shelf.keep(*speech, "a").id, "zoo": "tiny"}
    assert studio.systems.about("tiny")["ks"] == [10, 20]
    found = studio.units({**asked, "k": 10, "lmbda": 0})
    nearest = torch.cdist(pipeline.features(*speech), codes).argmin(1)
    assert found["units"] == torch.unique_consecutive(nearest).tolist()
    assert (found["k"], studio.units(asked)["k"]) == (10, 20)


@pytest.mark.parametrize("lost", ["ulm.pt", "ellav.pt", "wavlm.pt"])
def test_a_zoo_is_offered_as_far_as_it_is_here(tmp_path, speech, lost) -> None:
    registry = tiny_zoo.write(tmp_path)
    (tmp_path / lost).unlink()
    studio = Studio(Systems(registry=registry, first="tiny"))
    offer = studio.systems.offer("tiny")
    assert lost in offer.why
    assert offer.here == (lost != "wavlm.pt")
    asked = {"recording": studio.shelf.keep(*speech, "a").id, "zoo": "tiny"}
    if not offer.here:
        with pytest.raises(MissingError, match="cannot be used"):
            studio.units(asked)
        return
    about = studio.systems.about("tiny")
    assert (about["language_model"], about["speech"]) == (lost != "ulm.pt", lost != "ellav.pt")
    assert studio.units(asked)["units"]
    refused = studio.likelihood if lost == "ulm.pt" else studio.continue_speech
    with pytest.raises(ValueError, match=r"no language model|no synthesiser"):
        refused(asked)
