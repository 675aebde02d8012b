"""Middleware of the page: known hosts, the token, no requests from other sites, and the headers of each response."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Guard"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_COOKIE = "slmzoo_token"
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """ASGI middleware. On the loopback address only its own names are served, against DNS rebinding.

    Bound elsewhere, the token in the page's address is required once and then kept in a cookie.
    """

    def __init__(self, app: App, token: str | None = None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused:
            await _refuse(scope, receive, send, *refused)
            return
        await self._app(scope, receive, self._dressed(scope, headers, send))

    def _refused(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._token is None and host.rpartition(":")[0] not in _LOCAL and host not in _LOCAL:
            return 421, "This page answers to 127.0.0.1 and localhost alone."
        if self._token is not None and not self._knows(scope, headers):
            return 403, "Open the address that `slmzoo web` printed, with its token."
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if changes and origin is not None and origin.partition("://")[2] != host:
            return 403, "Requests from other sites are not answered."
        return None

    def _knows(self, scope: Message, headers: dict[str, str]) -> bool:
        given = [_token_of_query(scope), _token_of_cookie(headers.get("cookie", ""))]
        wanted = (self._token or "").encode()
        return any(hmac.compare_digest(each.encode(), wanted) for each in given if each)

    def _dressed(self, scope: Message, headers: dict[str, str], send: Send) -> Send:
        more = {
            "content-security-policy": _policy(headers.get("host", "")),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }
        if self._token is not None and _token_of_query(scope):
            more["set-cookie"] = f"{_COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in more.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        return dressed


def _policy(host: str) -> str:
    """Content security policy: everything from this server, nothing from any other."""
    sources = f"connect-src 'self' ws://{host}; img-src 'self' blob: data:; media-src 'self' blob:"
    return f"default-src 'self'; {sources}; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def _token_of_query(scope: Message) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]


def _token_of_cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _refuse(scope: Message, receive: Receive, send: Send, status: int, words: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": words})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
