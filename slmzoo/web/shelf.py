"""Recordings and synthesised speech, kept in memory while the server runs."""

from __future__ import annotations

import io
import secrets
import threading
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slmcore import audio
from slmcore.audio import libsndfile
from slmcore.audio.writing import wav_bytes
from slmzoo.web.limits import Limits, MissingError, TooMuchError

__all__ = ["Recording", "Shelf", "described"]

_LONGEST_NAME = 80


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono speech with a name."""

    id: str
    name: str
    wav: Tensor
    """float32 (1, samples), on the CPU."""
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.wav.shape[1] / self.sample_rate


class Shelf:
    """Recordings and sounds shared by the windows of one server. Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._recordings: dict[str, Recording] = {}
        self._sounds: dict[str, bytes] = {}

    def recordings(self) -> list[Recording]:
        """All recordings, the oldest first."""
        with self._lock:
            return list(self._recordings.values())

    def recording(self, key: str) -> Recording:
        """The recording of this id. Raises MissingError if there is none."""
        with self._lock:
            if key not in self._recordings:
                raise MissingError("This recording is no longer here: the server was started again, or it was deleted.")
            return self._recordings[key]

    def upload(self, content: bytes, name: str) -> Recording:
        """Keep the speech of an audio file. Raises ValueError for other files, TooMuchError past the limits."""
        stated = libsndfile.stated_length(io.BytesIO(content), name)
        if stated is not None:
            self.check_length(stated[0] / stated[1])
        wav, rate = audio.decode(io.BytesIO(content), name)
        return self.keep(wav, rate, name)

    def keep(self, wav: Tensor, sample_rate: int, name: str) -> Recording:
        """Keep speech (channels, samples). Raises ValueError for less than 20 ms, TooMuchError past the limits."""
        name = name[:_LONGEST_NAME] or "recording"
        mono = audio.mono(wav.float().cpu(), name)
        audio.check(mono, sample_rate, name)
        audio.check_audible(mono, name, sample_rate)
        made = Recording(secrets.token_urlsafe(9), name, mono, sample_rate)
        self.check_length(made.seconds)
        with self._lock:
            held = sum(each.seconds for each in self._recordings.values())
            if held + made.seconds > self._limits.total_seconds:
                minutes = self._limits.total_seconds / 60
                raise TooMuchError(f"The page keeps {minutes:.0f} minutes of speech. Delete a recording first.")
            self._recordings[made.id] = made
        return made

    def drop(self, key: str) -> None:
        """Delete a recording. Raises MissingError if there is none."""
        self.recording(key)
        with self._lock:
            self._recordings.pop(key, None)

    def check_length(self, seconds: float) -> None:
        """Raise TooMuchError for a recording longer than the limits allow."""
        most = self._limits.seconds
        if seconds > most:
            message = f"This recording lasts {seconds / 60:.0f} minutes; the page takes up to {most / 60:.0f}."
            raise TooMuchError(f"{message} Cut it, or use `slmzoo units` on the command line, which takes any length.")

    def add_sound(self, wav: Tensor, sample_rate: int) -> str:
        """Keep synthesised speech (1, samples) as a wav file; return its id."""
        key, content = secrets.token_urlsafe(9), wav_bytes(wav, sample_rate)
        with self._lock:
            self._sounds[key] = content
            while len(self._sounds) > self._limits.sounds:
                del self._sounds[next(iter(self._sounds))]
        return key

    def sound(self, key: str) -> bytes:
        """The wav file of synthesised speech. Raises MissingError if it is no longer here."""
        with self._lock:
            if key not in self._sounds:
                raise MissingError("This sound is no longer here. Make it again.")
            return self._sounds[key]


def described(recording: Recording) -> dict[str, Any]:
    """A recording as JSON."""
    return {
        "id": recording.id,
        "name": recording.name,
        "seconds": round(recording.seconds, 3),
        "sample_rate": recording.sample_rate,
    }
