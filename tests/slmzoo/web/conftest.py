"""A server of the page with the tiny zoo, on the loopback."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from slmcore import audio
from slmzoo.web.limits import Limits
from slmzoo.web.server import Server
from slmzoo.web.studio import Studio
from slmzoo.web.systems import Systems

LIMITS = Limits(seconds=5.0, total_seconds=12.0, upload_bytes=1 << 20)


class Client:
    """A window without a browser."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.host = urlsplit(address).netloc

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        made = http.client.HTTPConnection(self.host, timeout=15)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        made.request(method, path, body, given)
        answer = made.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    def get(self, path: str, **headers: str) -> Any:
        status, content, _ = self.request("GET", path, **headers)
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, asked: Any) -> Any:
        status, content, _ = self.request("POST", path, json.dumps(asked))
        assert status == 200, content
        return json.loads(content)

    def refused(self, path: str, asked: Any = None, method: str = "POST", **headers: str) -> tuple[int, str]:
        body = asked if isinstance(asked, bytes) or asked is None else json.dumps(asked)
        status, content, _ = self.request(method, path, body, **headers)
        assert status >= 400
        return status, json.loads(content)["error"]

    def upload(self, wav: torch.Tensor, rate: int, name: str = "talk.wav") -> dict[str, Any]:
        status, content, _ = self.request("POST", "/api/recordings", wav_file(wav, rate), x_name=name)
        assert status == 200, content
        return json.loads(content)

    def clear(self) -> None:
        for each in self.get("/api/recordings")["recordings"]:
            assert self.request("DELETE", f"/api/recordings/{each['id']}")[0] == 200

    def live(self, alone: bool = True, **asked: Any) -> ClientConnection:
        """Begin a live recording; `alone`: once no other one is in progress."""
        end = time.monotonic() + 8
        while alone and self.get("/api/systems")["recording"] and time.monotonic() < end:
            time.sleep(0.02)
        socket = connect(f"ws://{self.host}/api/live", max_size=1 << 24).__enter__()
        with suppress(ConnectionClosed):  # a window that is refused at once is closed
            socket.send(json.dumps(asked))
        return socket


def wav_file(wav: torch.Tensor, rate: int) -> bytes:
    from slmcore.audio.writing import wav_bytes

    return wav_bytes(wav, rate)


def received(socket: ClientConnection) -> Any:
    message = socket.recv(timeout=15)
    return json.loads(message) if isinstance(message, str) else message


@contextmanager
def serving(studio: Studio, host: str = "127.0.0.1") -> Iterator[Client]:
    server = Server(studio, host, 0)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield Client(server.address)
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.fixture(scope="package")
def systems(registry: Path) -> Systems:
    return Systems(registry=registry, first="tiny")


@pytest.fixture(scope="module")
def client(systems: Systems) -> Iterator[Client]:
    with serving(Studio(systems, LIMITS)) as made:
        yield made


@pytest.fixture
def recording(client: Client, speech: tuple[torch.Tensor, int]) -> dict[str, Any]:
    client.clear()
    wav, rate = speech
    return client.upload(wav[:, : 2 * rate], rate)


@pytest.fixture
def samples_and_rate(client: Client, recording: dict[str, Any]) -> tuple[torch.Tensor, int]:
    """The recording as the server keeps it: in 16 bits."""
    _, content, _ = client.request("GET", f"/api/recordings/{recording['id']}/wav")
    return audio.decode(io.BytesIO(content), "wav")
