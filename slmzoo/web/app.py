"""The page's server: requests to verbs, errors to messages."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from slmcore.audio.writing import wav_bytes
from slmcore.errors import must
from slmzoo.web.guard import App, Guard
from slmzoo.web.limits import BusyError, MissingError, TooMuchError, words_of
from slmzoo.web.live import Live
from slmzoo.web.shelf import described
from slmzoo.web.studio import Studio

__all__ = ["application"]

logger = logging.getLogger(__name__)

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STATUS = (
    (TooMuchError, 413),
    (MissingError, 404),
    (BusyError, 409),
    ((ValueError, TypeError), 400),
    (OSError, 500),
)
_DRAINED = 4
"""Bound on the bytes that are read before the connection is closed, in largest bodies."""
Handler = Callable[[Request], Awaitable[Response]]


def application(studio: Studio, token: str | None = None) -> App:
    """Return the ASGI application around a studio; with a `token`, requests without it are refused."""
    live = Live(studio)
    handlers = _Handlers(studio, live)
    routes = [
        Route("/", _with_json_errors(handlers.page)),
        Route("/static/{name}", _with_json_errors(handlers.static)),
        Route("/api/systems", _with_json_errors(handlers.systems)),
        Route("/api/systems/{zoo}", _with_json_errors(handlers.system)),
        Route("/api/recordings", _with_json_errors(handlers.recordings)),
        Route("/api/recordings", _with_json_errors(handlers.upload), methods=["POST"]),
        Route("/api/recordings/{key}", _with_json_errors(handlers.drop), methods=["DELETE"]),
        Route("/api/recordings/{key}/wav", _with_json_errors(handlers.wav)),
        Route("/api/sounds/{key}", _with_json_errors(handlers.sound)),
        Route("/api/sample", _with_json_errors(handlers.sample), methods=["POST"]),
        Route("/api/{verb}", _with_json_errors(handlers.verb), methods=["POST"]),
        WebSocketRoute("/api/live", live.serve),
    ]
    return Guard(Starlette(routes=routes), token)


class _Handlers:
    """One method for each address. Everything that computes runs in one thread, so that the server always answers."""

    def __init__(self, studio: Studio, live: Live) -> None:
        self._studio, self._live, self._limits = studio, live, studio.limits
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="slmzoo-web")
        self._static = _static_files()
        self._verbs = {
            "units": studio.units,
            "resynthesize": studio.resynthesize,
            "continue": studio.continue_speech,
            "likelihood": studio.likelihood,
        }

    async def page(self, request: Request) -> Response:
        return Response(self._static["index.html"], media_type="text/html")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise MissingError(f"There is no file {name!r}.")
        return Response(self._static[name], media_type=_TYPES[name.rpartition(".")[2]])

    async def systems(self, request: Request) -> Response:
        offers = await self._run(self._studio.systems.offers)
        found = [{"zoo": each.zoo, "here": each.here, "why": each.why} for each in offers]
        limits = {"upload_bytes": self._limits.upload_bytes, "seconds": self._limits.seconds}
        return JSONResponse({"systems": found, "limits": limits, "recording": self._live.running})

    async def system(self, request: Request) -> Response:
        return JSONResponse(await self._run(self._studio.systems.about, request.path_params["zoo"]))

    async def recordings(self, request: Request) -> Response:
        return JSONResponse({"recordings": [described(each) for each in self._studio.shelf.recordings()]})

    async def upload(self, request: Request) -> Response:
        name = unquote(request.headers.get("x-name", "")) or "upload"
        content = await _body(request, self._limits.upload_bytes, f"{name} is larger than the page takes")
        return JSONResponse(described(await self._run(self._studio.shelf.upload, content, name)))

    async def sample(self, request: Request) -> Response:
        content = importlib.resources.files("slmzoo.web").joinpath("sample.flac").read_bytes()
        return JSONResponse(described(await self._run(self._studio.shelf.upload, content, "sample")))

    async def drop(self, request: Request) -> Response:
        self._studio.shelf.drop(request.path_params["key"])
        return JSONResponse({})

    async def wav(self, request: Request) -> Response:
        found = self._studio.shelf.recording(request.path_params["key"])
        # In a thread of its own: in the studio's it would wait for what is being synthesised.
        content = await asyncio.to_thread(wav_bytes, found.wav, found.sample_rate)
        return Response(content, media_type="audio/wav")

    async def sound(self, request: Request) -> Response:
        return Response(self._studio.shelf.sound(request.path_params["key"]), media_type="audio/wav")

    async def verb(self, request: Request) -> Response:
        name = request.path_params["verb"]
        if name not in self._verbs:
            raise MissingError(f"There is no verb {name!r}.")
        asked = json.loads(await _body(request, self._limits.request_bytes, "The request is too long"))
        if not isinstance(asked, dict):
            raise ValueError(must("request", "a JSON object", asked))
        return JSONResponse(await self._run(self._verbs[name], asked))

    async def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)


def _with_json_errors(handler: Handler) -> Handler:
    """The handler with its errors as JSON messages; none of them stops the server."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            status = next((status for kinds, status in _STATUS if isinstance(error, kinds)), 500)
            if status == 500:
                logger.exception("A request to %s failed.", request.url.path)
            return JSONResponse({"error": words_of(error)}, status)

    return answer


async def _body(request: Request, most: int, reason: str) -> bytes:
    """The body of a request. Raises TooMuchError as soon as more than `most` bytes are announced or received."""
    remedy = f"{reason} ({most / 2**20:.0f} MB)."
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise TooMuchError(remedy)
    parts, held = [], 0
    async for part in request.stream():
        held += len(part)
        if held > most:
            parts.clear()  # some of the rest is read and dropped: a browser reads no answer before it has sent all
        else:
            parts.append(part)
        if held > _DRAINED * most:
            break
    if held > most:
        raise TooMuchError(remedy)
    return b"".join(parts)


def _static_files() -> dict[str, bytes]:
    """The files of the page by name, read once: no path of a request ever reaches the disk."""
    folder = importlib.resources.files("slmzoo.web").joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}
