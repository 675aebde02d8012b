"""A real HTTP server on the loopback that serves one file, and misbehaves as its script says."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(kw_only=True)
class Reply:
    """How to answer one request; the default is as a good server does."""

    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    """Whether Range is honoured."""
    length: int | None = None
    """A lie about Content-Length; -1 leaves it out."""
    cut: int | None = None
    """Bytes after which the connection breaks."""
    stall: float = 0.0
    """Seconds of silence after `cut` bytes."""


class Web:
    def __init__(self, content: bytes, tag: str | None = '"1"') -> None:
        self.content, self.tag = content, tag
        self.script: list[Reply] = []
        self.requests: list[tuple[str, str | None]] = []
        """(path, Range header) of each request."""
        self._guard = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self, path: str, span: str | None) -> Reply:
        with self._guard:
            self.requests.append((path, span))
            return self.script.pop(0) if self.script else Reply()

    def _handler(web) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (self is the handler's)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                reply = web.next(self.path, self.headers.get("Range"))
                status, headers, body = answer(web, reply, self.headers)
                with suppress(OSError):
                    self.send(status, headers, body, reply)

            def send(self, status: int, headers: dict[str, str], body: bytes, reply: Reply) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                self.wfile.write(body[: reply.cut])
                self.wfile.flush()
                time.sleep(reply.stall)
                if reply.cut is not None:
                    self.connection.shutdown(socket.SHUT_RDWR)

        return Handler


def answer(web: Web, reply: Reply, asked: object) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/octet-stream", **({"ETag": web.tag} if web.tag else {})}
    body, status = web.content if reply.body is None else reply.body, reply.status or 200
    span = re.fullmatch(r"bytes=(\d+)-", asked.get("Range") or "")
    if span and reply.ranges and status == 200 and asked.get("If-Range") in (None, web.tag):
        start = int(span[1])
        if start >= len(body):
            status, headers["Content-Range"], body = 416, f"bytes */{len(body)}", b""
        else:
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
    if reply.length != -1:
        headers["Content-Length"] = str(len(body) if reply.length is None else reply.length)
    return status, headers | reply.headers, body
