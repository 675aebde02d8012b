"""Units of a recording in progress, over a WebSocket.

The page sends JSON `{"zoo", "rate", "name", "k", "lmbda", "back"}`, then float32 samples in binary messages, then
`{"stop": true}`. It receives JSON: the units that have ended, the current one, and the seconds received; with `back`
also `{"speech": rate}`, each followed by the samples of a segment of the resynthesis; and finally the recording.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from starlette.websockets import WebSocket, WebSocketDisconnect

from slmcore.audio.checks import whole_rate
from slmcore.errors import must
from slmcore.units import Units
from slmzoo.streaming import SpeechStream, UnitStream
from slmzoo.web.limits import BusyError, words_of
from slmzoo.web.shelf import described
from slmzoo.web.studio import Studio

__all__ = ["Live"]

logger = logging.getLogger(__name__)

_LONGEST_MESSAGE = 1 << 20
_RATES = (8000, 192_000)
_LEAST_KEPT = 0.3
"""Shortest interrupted recording that is kept, seconds."""


class _Take:
    """One recording in progress."""

    def __init__(self, studio: Studio, asked: dict[str, Any]) -> None:
        self._studio, self.name = studio, str(asked.get("name") or "recording")
        zoo, rate = asked.get("zoo"), whole_rate(asked.get("rate"))
        if not isinstance(zoo, str) or not _RATES[0] <= rate <= _RATES[1]:
            raise ValueError(must("rate", f"from {_RATES[0]} to {_RATES[1]} Hz, with a zoo", rate))
        pipeline = studio.systems.pipeline(zoo)
        quantizer = studio.systems.quantizer(zoo, asked.get("k"), asked.get("lmbda"))
        if pipeline.encoder is None:
            raise ValueError(f"The system of {zoo} has no encoder: it cannot be heard live.")
        self.rate, self.samples = rate, 0
        self._stream = UnitStream(pipeline.encoder, quantizer, rate)
        self.voice: SpeechStream | None = pipeline.speech_stream(seconds=0.6) if asked.get("back") else None
        self._chunks: list[torch.Tensor] = []
        self._kept: dict[str, Any] | None = None

    def push(self, content: bytes) -> Units:
        """Take float32 samples; return the units that have ended. Raises TooMuchError past the longest recording."""
        if len(content) % 4 or len(content) > _LONGEST_MESSAGE:
            raise ValueError(must("message", "float32 samples, at most 1 MB of them", f"a message of {len(content)} B"))
        chunk = torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32))
        self._studio.shelf.check_length((self.samples + len(chunk)) / self.rate)
        units = self._stream.push(chunk)
        self._chunks.append(chunk)
        self.samples += len(chunk)
        return units

    def message(self, units: Units) -> dict[str, Any]:
        """Units as a message to the page."""
        current = self._stream.current
        return {
            "units": units.units.tolist(),
            "durations": units.durations.tolist(),
            "current": [*current.units.tolist(), *current.durations.tolist()],
            "frame_rate": units.frame_rate,
            "heard": round(self.samples / self.rate, 3),
        }

    def flush(self) -> Units:
        """The last units. Raises ValueError for less speech than the encoder needs."""
        return self._stream.flush()

    def kept(self) -> dict[str, Any] | None:
        """Keep the recording on the shelf, once; None if it is empty."""
        if self._kept is None and self.samples:
            made = self._studio.shelf.keep(torch.cat(self._chunks)[None], self.rate, self.name)
            self._kept = described(made)
        return self._kept


class Live:
    """Live recordings of all windows, as many at a time as the limits allow, each in its own thread."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.running = 0
        """Number of windows that are recording."""
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="slmzoo-live")
        self._speaker = ThreadPoolExecutor(1, thread_name_prefix="slmzoo-voice")

    async def serve(self, socket: WebSocket) -> None:
        """Serve one window until it stops, fails or disconnects."""
        await socket.accept()
        if self.running >= self._studio.limits.live:
            await _send_error(
                socket, BusyError("Another window is recording. Stop it there first; nothing here is lost.")
            )
            return
        self.running += 1
        try:
            asked = _object(await socket.receive_text())
            take: _Take = await self._run(self._encoder, lambda: _Take(self._studio, asked))
            await self._record(socket, take)
        except WebSocketDisconnect:
            logger.info("A window went before it recorded.")
        except Exception as error:
            await _send_error(socket, error)
        finally:
            self.running -= 1

    async def _record(self, socket: WebSocket, take: _Take) -> None:
        """Receive one recording; it is kept even after an error."""
        speaking: list[asyncio.Task[None]] = []
        try:
            await socket.send_json({"ready": True})
            await self._hear(socket, take, speaking)
            await self._finish(socket, take, speaking)
        except Exception as error:
            kept = await self._run(self._encoder, take.kept) if take.samples >= take.rate * _LEAST_KEPT else None
            await _send_error(socket, error, kept)
        finally:
            for task in speaking:
                task.cancel()

    async def _hear(self, socket: WebSocket, take: _Take, speaking: list[asyncio.Task[None]]) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            content = message.get("bytes")
            if content is None:
                _object(message.get("text") or "")
                return
            units = await self._run(self._encoder, lambda content=content: take.push(content))
            await socket.send_json(take.message(units))
            self._speak(socket, take, units, speaking)

    async def _finish(self, socket: WebSocket, take: _Take, speaking: list[asyncio.Task[None]]) -> None:
        kept = await self._run(self._encoder, take.kept)
        if kept is not None:
            units = await self._run(self._encoder, take.flush)
            await socket.send_json(take.message(units))
            self._speak(socket, take, units, speaking, last=True)
        await asyncio.gather(*speaking)
        await socket.send_json({"done": True, "recording": kept})
        await socket.close()

    def _speak(
        self, socket: WebSocket, take: _Take, found: Units, speaking: list[asyncio.Task[None]], last: bool = False
    ) -> None:
        """Speak units while the next ones are computed; send finished segments in order."""
        voice = take.voice
        if voice is None or not (len(found) or last):
            return

        async def spoken() -> None:
            segments = await self._run(self._speaker, lambda: [*voice.push(found), *(voice.flush() if last else [])])
            for speech in segments:
                await socket.send_json({"speech": speech.sample_rate})
                await socket.send_bytes(speech.wav[0].cpu().float().numpy().astype("<f4").tobytes())

        speaking.append(asyncio.ensure_future(spoken()))

    async def _run(self, worker: ThreadPoolExecutor, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(worker, work)


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(must("message", "a JSON object", found))
    return found


async def _send_error(socket: WebSocket, error: Exception, kept: dict[str, Any] | None = None) -> None:
    """Send the error to the window, if it is still connected."""
    if isinstance(error, WebSocketDisconnect):
        logger.info("A window went while it recorded.")
        return
    if not isinstance(error, (ValueError, TypeError, LookupError, BusyError)):
        logger.error("A live recording failed.", exc_info=error)
    try:
        await socket.send_json({"error": words_of(error), "recording": kept})
        await socket.close()
    except (RuntimeError, WebSocketDisconnect):
        logger.info("The window had gone before it could be told.")
