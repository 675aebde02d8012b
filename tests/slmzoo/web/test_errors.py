"""Whatever goes wrong is told in words, nothing is lost, and the server goes on."""

from __future__ import annotations

import http.client
import io
import json
import math
import socket as sockets
import time

import numpy as np
import pytest
import soundfile
import torch

from slmzoo.web.limits import Limits
from slmzoo.web.server import Server, is_local
from slmzoo.web.studio import Studio
from tests.slmzoo.web.conftest import LIMITS, received, serving, wav_file


@pytest.fixture(autouse=True)
def _goes_on(client, speech):
    """After each of these errors the server takes and encodes a recording as before."""
    client.clear()
    yield
    client.clear()
    made = client.upload(speech[0][:, :16000], speech[1])
    assert client.post("/api/units", {"recording": made["id"], "zoo": "tiny"})["units"]


def tone(seconds: float, rate: int = 8000) -> torch.Tensor:
    return (torch.arange(round(seconds * rate)) * 0.3).sin()[None] * 0.3


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is no audio", b"RIFF" + b"\0" * 40, b"fLaC" + bytes(range(256))]
)
def test_what_is_not_audio(client, content) -> None:
    status, words = client.refused("/api/recordings", content, x_name="notes.txt")
    assert status == 400
    assert "notes.txt" in words
    assert client.get("/api/recordings")["recordings"] == []


def test_a_silent_and_a_too_short_file(client) -> None:
    assert "silent" in client.refused("/api/recordings", wav_file(torch.zeros(1, 8000), 8000), x_name="a.wav")[1]
    assert "at least 160 samples" in client.refused("/api/recordings", wav_file(tone(0.01), 8000))[1]


def test_a_two_hour_upload_is_refused_before_it_is_sent(client) -> None:
    made = http.client.HTTPConnection(client.host, timeout=60)
    made.putrequest("POST", "/api/recordings")
    made.putheader("Content-Length", str(2 * 3600 * 32000))
    made.putheader("X-Name", "lecture.wav")
    made.endheaders(b"RIFF")
    answer = made.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"] == "lecture.wav is larger than the page takes (1 MB)."


def test_an_upload_without_a_length_is_stopped_at_the_limit(client) -> None:
    parts = (b"\0" * 65536 for _ in range(64))
    status, content, _ = client.request("POST", "/api/recordings", parts, x_name="x")
    assert status == 413
    assert b"larger" in content


def test_two_hours_in_a_small_file_are_refused_by_their_header(client) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(7200 * 1000, np.int16), 1000, format="FLAC")
    assert len(file.getvalue()) < LIMITS.upload_bytes
    status, words = client.refused("/api/recordings", file.getvalue(), x_name="lecture.flac")
    assert status == 413
    assert "lasts 120 minutes" in words
    assert "slmzoo units" in words


def test_just_as_long_as_allowed_is_taken(client) -> None:
    assert client.upload(tone(LIMITS.seconds), 8000)["seconds"] == LIMITS.seconds
    assert client.refused("/api/recordings", wav_file(tone(LIMITS.seconds + 0.01), 8000))[0] == 413


def test_a_full_page_asks_to_delete(client) -> None:
    kept = [client.upload(tone(5), 8000) for _ in range(2)]
    status, words = client.refused("/api/recordings", wav_file(tone(3), 8000))
    assert status == 413
    assert "Delete a recording" in words
    assert len(client.get("/api/recordings")["recordings"]) == 2
    client.request("DELETE", f"/api/recordings/{kept[0]['id']}")
    client.upload(tone(3), 8000)


def test_names_are_shown_as_they_are_and_shortened(client) -> None:
    assert client.upload(tone(1), 8000, "sch%C3%B6n%20%3Cb%3E.wav")["name"] == "schön <b>.wav"
    assert len(client.upload(tone(1), 8000, "x" * 500)["name"]) == 80


@pytest.mark.parametrize(
    ("verb", "asked", "status", "words"),
    [
        ("units", {"zoo": "dp-slm"}, 404, "cannot be used. Not on this machine"),
        ("units", {"zoo": "nowhere"}, 404, "no zoo 'nowhere'"),
        ("units", {"recording": "gone"}, 404, "no longer here"),
        ("units", {"recording": 3}, 400, "`recording` must be a text"),
        ("units", {"lmbda": -1}, 400, "`lmbda` must be a number from 0"),
        ("units", {"lmbda": "many"}, 400, "`lmbda` must be a number from 0"),
        ("units", {"lmbda": math.nan}, 400, "`lmbda` must be a number from 0"),
        ("units", {"k": 21}, 404, "no codebook of 21 units"),
        ("units", {"k": 2.5}, 400, "`k` must be a whole number"),
        ("resynthesize", {"seed": -1}, 400, "`seed` must be a whole number"),
        ("resynthesize", {"temperature": 11}, 400, "`temperature` must be a number from 0 to 10"),
        ("continue", {"top_p": 2}, 400, "`top_p` must be a number from 0 to 1"),
        ("continue", {"samples": True}, 400, "`samples` must be a whole number"),
        ("fly", {}, 404, "no verb 'fly'"),
    ],
)
def test_wrong_requests(client, verb, asked, status, words) -> None:
    made = client.upload(tone(1), 8000)
    found = client.refused(f"/api/{verb}", {"recording": made["id"], "zoo": "tiny", **asked})
    assert found[0] == status
    assert words in found[1]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff"])
def test_requests_that_are_no_json(client, body) -> None:
    assert client.refused("/api/units", body)[0] == 400


def test_a_long_request_is_refused(client) -> None:
    assert client.refused("/api/units", b"[" + b"1," * (1 << 20))[0] == 413


def test_a_second_window_that_records_is_told(client, speech) -> None:
    first = client.live(zoo="tiny", rate=16000)
    assert received(first)["ready"]
    assert client.get("/api/systems")["recording"] == 1
    second = client.live(alone=False, zoo="tiny", rate=16000)
    assert "Another window is recording" in received(second)["error"]
    first.send(speech[0][0, :16000].numpy().astype("<f4").tobytes())
    assert received(first)["heard"] == 1.0
    first.close()


def test_a_lost_connection_keeps_what_was_heard_and_frees_the_place(client, speech) -> None:
    lost = client.live(zoo="tiny", rate=16000, name="lost")
    assert received(lost)["ready"]
    lost.send(speech[0][0, :16000].numpy().astype("<f4").tobytes())
    assert received(lost)["heard"] == 1.0
    lost.socket.shutdown(sockets.SHUT_RDWR)
    end = time.monotonic() + 30
    while not (kept := client.get("/api/recordings")["recordings"]) and time.monotonic() < end:
        time.sleep(0.05)
    assert [(each["name"], each["seconds"]) for each in kept] == [("lost", 1.0)]
    again = client.live(zoo="tiny", rate=16000)
    assert received(again) == {"ready": True}
    again.close()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"zoo": "dp-slm", "rate": 16000}, "Not on this machine"),
        ({"zoo": "tiny", "rate": 100}, "`rate` must be from 8000"),
        ({"zoo": "tiny", "rate": "fast"}, "whole number of samples"),
        ({"zoo": "tiny", "rate": 16000, "lmbda": "low"}, "`lmbda` must be"),
        ({"zoo": None, "rate": 16000}, "with a zoo"),
    ],
)
def test_wrong_live_recordings(client, asked, words) -> None:
    socket = client.live(**asked)
    assert words in received(socket)["error"]


@pytest.mark.parametrize("message", [b"123", np.full(400, np.nan, "<f4").tobytes(), "no json", "[]"])
def test_wrong_live_messages_keep_what_was_heard(client, speech, message) -> None:
    socket = client.live(zoo="tiny", rate=16000)
    assert received(socket)["ready"]
    socket.send(speech[0][0, :16000].numpy().astype("<f4").tobytes())
    received(socket)
    socket.send(message)
    answer = received(socket)
    assert answer["error"]
    assert answer["recording"]["seconds"] == 1.0


def test_a_live_recording_past_the_longest_is_ended_and_kept(client, speech) -> None:
    socket, second = client.live(zoo="tiny", rate=8000), tone(1)[0].numpy().astype("<f4").tobytes()
    assert received(socket)["ready"]
    answers = []
    for _ in range(6):
        socket.send(second)
        answers.append(received(socket))
    assert "page takes up to" in answers[-1]["error"]
    assert answers[-1]["recording"]["seconds"] == 5.0


def test_too_little_speech_is_told(client) -> None:
    socket = client.live(zoo="tiny", rate=16000)
    assert received(socket)["ready"]
    socket.send(np.ones(10, "<f4").tobytes())
    received(socket)
    socket.send('{"stop": true}')
    assert "at least 320 samples" in received(socket)["error"]


def test_no_file_of_the_machine_is_reached(client) -> None:
    paths = (
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/%2Fetc%2Fpasswd",
        "/static/sample.flac",
        "/setup.py",
    )
    for path in paths:
        status, content, _ = client.request("GET", path)
        assert status == 404, path
        assert b"import" not in content


def test_everything_comes_from_the_page_itself(client) -> None:
    _, page, headers = client.request("GET", "/")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; connect-src 'self' ws://127.0.0.1:")
    assert "unsafe" not in policy
    names = ["app.js", "api.js", "compare.js", "recorder.js", "sound.js", "spectrum.js", "state.js", "strip.js"]
    for name in [*names, "takes.js", "units.js", "worklet.js", "style.css", "icon.svg"]:
        status, content, _ = client.request("GET", f"/static/{name}")
        assert status == 200
        assert b"://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"://" not in page


def test_other_names_and_other_sites_are_refused(client) -> None:
    assert client.request("GET", "/api/systems", Host="evil.example:80")[0] == 421
    assert client.request("GET", "/api/systems", Host=f"localhost:{client.host.partition(':')[2]}")[0] == 200
    assert client.request("POST", "/api/sample", "{}", Origin="http://evil.example")[0] == 403
    assert client.request("POST", "/api/sample", "{}", Origin="null")[0] == 403
    assert client.request("POST", "/api/sample", "{}", Origin=f"http://{client.host}")[0] == 200


def test_elsewhere_the_token_is_asked_for(systems) -> None:
    with serving(Studio(systems, Limits()), "0.0.0.0") as client:
        address = client.address
        token = address.partition("?token=")[2]
        client.host = "127.0.0.1:" + client.host.rpartition(":")[2]
        assert len(token) >= 32
        for path in ("/", "/api/systems", "/?token=", f"/?token={token[:-1]}", "/static/app.js"):
            assert client.request("GET", path)[0] == 403, path
        status, _, headers = client.request("GET", f"/?token={token}")
        assert status == 200
        assert "HttpOnly" in headers["set-cookie"]
        cookie = headers["set-cookie"].partition(";")[0]
        assert client.request("GET", "/api/systems", Cookie=cookie)[0] == 200
        assert client.request("GET", "/api/systems", Cookie="slmzoo_token=wrong")[0] == 403


def test_a_live_connection_from_another_site_is_closed(client) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus):
        connect(f"ws://{client.host}/api/live", origin="http://evil.example").__enter__()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("my.name", False)],
)
def test_addresses_of_this_machine_alone(host, local) -> None:
    assert is_local(host) == local


def test_a_port_that_is_taken_is_told(client, systems) -> None:
    port = int(client.host.partition(":")[2])
    with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be used"):
        Server(Studio(systems), port=port)
    with pytest.raises(ValueError, match="`port` must be from 0 to 65535"):
        Server(Studio(systems), port=65536)
