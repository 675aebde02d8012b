"""The server of the page on its address."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from typing import Any

from slmcore.errors import must
from slmzoo.web.studio import Studio

__all__ = ["Server"]

_MESSAGE_BYTES = 1 << 20
_PING_SECONDS = 10.0


class Server:
    """The page on a host and port; `address` is set on construction, and `serve` serves until stopped."""

    def __init__(self, studio: Studio, host: str = "127.0.0.1", port: int = 8000) -> None:
        """Bind the address; port 0 takes a free one. Raises OSError if it is taken, ImportError without the extra."""
        import uvicorn

        from slmzoo.web.app import application

        if not 0 <= port < 1 << 16:
            raise ValueError(must("port", "from 0 to 65535", port))
        self.token = None if is_local(host) else secrets.token_urlsafe(24)
        self._socket = _bound(host, port)
        self.address = _address(host, self._socket.getsockname()[1], self.token)
        config = uvicorn.Config(
            application(studio, self.token),
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=_MESSAGE_BYTES,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            timeout_graceful_shutdown=2,
        )
        self._server: Any = uvicorn.Server(config)

    def serve(self) -> None:
        """Serve until `stop` or an interrupt."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self._server.should_exit = True


def is_local(host: str) -> bool:
    """Whether a host can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except OSError as error:
        bound.close()
        problem = f"The address {host}:{port} cannot be used ({error.strerror or error})."
        raise OSError(f"{problem} Another server may be there: choose another --port, or 0 for a free one.") from error
    return bound


def _address(host: str, port: int, token: str | None) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + ("" if token is None else f"?token={token}")
