"""Decoding by libsndfile, with a check that all of the file was read."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from slmcore.audio import containers, ffmpeg, mpeg

__all__ = ["UndecodedError", "decode", "stated_length"]

_UNKNOWN_FRAMES = 1 << 62
_BLOCK = 1 << 20
_TOLERATED_MPEG_FRAMES = 2
"""Frames at the start of a stream that decoders drop, because their bits lie in earlier frames."""
_MPEG_RUN_UP = 10 * 1152
"""Samples decoded before a part and dropped: its first frames depend on up to ten frames before them."""
_LOST_MPEG_FRAMES = 4
"""Frames lost where two files were concatenated: headers, and frames whose bits lie in the other file."""

logger = logging.getLogger(__name__)


class UndecodedError(ValueError):
    """File that libsndfile cannot read to its end, although another decoder may."""

    def __init__(self, reason: str, remedy: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy
        """Advice where there is no other decoder."""
        self.seconds = seconds
        """Minimum duration of the file, where known."""


def decode(file: BinaryIO, name: str, start: float, seconds: float | None) -> tuple[npt.NDArray[np.float32], int]:
    """Read `seconds` (None: to the end) from `start` of an open file: float32 (samples, channels), and its rate in Hz.

    A part that runs past the end of the file is shorter. Raises a ValueError that names the file if it is damaged or
    truncated, or if the part starts past its end; UndecodedError if another decoder may read it.
    """
    found = containers.extent(file)
    file = _with_size(file, found, name)
    with _opened(file, name) as sound:
        sr, frames = sound.samplerate, sound.frames
        first, wanted = round(start * sr), frames if seconds is None else round(seconds * sr)
        if frames >= _UNKNOWN_FRAMES or (sound.format == "MP3" and (seconds is None or first + wanted > frames)):
            samples = _read(sound, name, 0, frames)
            if sound.format == "MP3":
                _check_mpeg(_counted(file), name, len(samples), frames)
            frames, samples = len(samples), samples[first:][:wanted]
        else:
            samples = _read(sound, name, min(first, frames), min(wanted, max(0, frames - first)))
            if seconds is None:
                _check_whole(file, name, sound, found, len(samples), max(0, frames - first))
    if first and first >= frames:
        raise ValueError(f"The part begins at {start:g} s, but {name} lasts {frames / sr:.2f} s.")
    return samples, sr


def stated_length(file: BinaryIO, name: str) -> tuple[int, int] | None:
    """Return the samples of an open file and its rate in Hz; None if its header states none, or wrong ones."""
    try:
        found = containers.extent(file)
        with _opened(_with_size(file, found, name), name) as sound:
            frames, sr = sound.frames, sound.samplerate
            if sound.format == "MP3":
                counted = _counted(file)
                _check_mpeg(counted, name, frames, frames)
                frames = frames if counted is None else _mpeg_length(counted, frames)
            else:
                _check_whole(file, name, sound, found, frames, frames)
    except ValueError:
        return None
    return (frames, sr) if frames < _UNKNOWN_FRAMES else None


class _Forward(soundfile.SoundFile):
    """soundfile without its seek after each block, which fails where the length is unknown."""

    def seekable(self) -> bool:
        return False


def _with_size(file: BinaryIO, found: containers.Extent | None, name: str) -> BinaryIO:
    """Return the file itself, or all the audio of a wav whose recorder crashed before it wrote the size."""
    if found is None or not found.is_open or found.declared:
        return file
    logger.warning("%s: its header says 0 bytes of audio, as after a crash of the recorder; all of it is read.", name)
    file.seek(0)
    return io.BytesIO(containers.with_size(file.read(), found))


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[_Forward]:
    file.seek(0)
    try:
        sound = _Forward(file)
    except (RuntimeError, TypeError) as error:
        if _is_beginning(file):
            raise ValueError(f"{name} was cut off: only its beginning is there. Copy it again.") from error
        reason = f"{name} is not audio that can be read: {_reason(error)}"
        remedy = f"If it is audio, {ffmpeg.INSTALL}, or convert it, as by `ffmpeg -i in out.wav`."
        raise UndecodedError(reason, remedy) from error
    with sound:
        yield sound


def _read(sound: _Forward, name: str, first: int, count: int) -> npt.NDArray[np.float32]:
    """Read `count` samples (n, channels) from `first`, fewer at the end of the file; in blocks if that is unknown."""
    try:
        if first:
            before = min(first, _MPEG_RUN_UP) if sound.format == "MP3" else 0
            sound.seek(first - before)
            return _block(sound, before + count)[before:]
        if count < _UNKNOWN_FRAMES:
            return _block(sound, count)
        blocks = [np.empty((0, sound.channels), np.float32)]
        while len(block := _block(sound, _BLOCK)):
            blocks.append(block)
        return np.concatenate(blocks)
    except (RuntimeError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise ValueError(f"{name} is not audio that can be read: {_reason(error)}") from error


def _block(sound: _Forward, count: int) -> npt.NDArray[np.float32]:
    return np.asarray(sound.read(count, dtype="float32", always_2d=True), np.float32)


def _check_whole(
    file: BinaryIO, name: str, sound: _Forward, extent: containers.Extent | None, read: int, stated: int
) -> None:
    """Raise a ValueError if a file was truncated: `read` of `stated` samples are there, or bytes are missing."""
    guessed = sound.subtype.startswith("MPEG")
    missing = 0.0 if guessed else max(0, stated - read) / sound.samplerate
    if extent is not None and not extent.is_open:
        missing = max(missing, extent.lacks * read / sound.samplerate)
    if missing:
        raise _truncated(name, read / sound.samplerate, f"{missing:.2f} s are missing")
    if sound.format == "OGG" and not containers.ogg_is_whole(file):
        raise _truncated(name, read / sound.samplerate, "its last page is missing")


def _check_mpeg(header: mpeg.Mpeg | None, name: str, read: int, stated: int) -> None:
    """Raise a ValueError if an mp3 was truncated, an UndecodedError if libsndfile underestimated its length."""
    if header is None:
        return
    if header.is_truncated:
        known = f"{header.missing:.2f} s are missing" if header.missing else "it ends within a frame"
        raise _truncated(name, header.samples / header.rate, known)
    if read < _mpeg_length(header, stated) - _TOLERATED_MPEG_FRAMES * header.samples_per_frame:
        lasts, least = header.samples / header.rate, header.frames - _LOST_MPEG_FRAMES
        reason = (
            f"{name} lasts {lasts:.2f} s, but its header does not say so and only {read / header.rate:.2f} s are read"
        )
        remedy = "Write its header anew, as by `ffmpeg -i in.mp3 -c copy out.mp3`."
        raise UndecodedError(reason, remedy, least * header.samples_per_frame / header.rate)


def _mpeg_length(header: mpeg.Mpeg, stated: int) -> int:
    """Return the samples of an mp3: without the encoder's delay if its header is right, else those of all frames."""
    trusted = header.declared is not None and header.frames <= header.declared + 1
    return stated if trusted else header.samples


def _is_beginning(file: BinaryIO) -> bool:
    """Whether an unreadable file is the beginning of an ogg or mp3, which ffmpeg would take for a whole file."""
    if containers.is_ogg(file):
        return not containers.ogg_is_whole(file)
    file.seek(0)
    found = _counted(file) if file.read(3).startswith((b"ID3", b"\xff")) else None
    return found is not None and found.is_truncated


def _counted(file: BinaryIO) -> mpeg.Mpeg | None:
    file.seek(0)
    return mpeg.counted(file.read())


def _truncated(name: str, there: float, missing: str) -> ValueError:
    remedy = f"Copy it again; to take the {there:.2f} s that are there, convert it, as by `ffmpeg -i in out.wav`."
    return ValueError(f"{name} was cut off: {missing}. {remedy}")


def _reason(error: BaseException) -> str:
    text = str(error).split("Error opening ")[-1]
    return (text.rpartition(">: ")[2] or text).strip().removeprefix("Error : ").rstrip(".") or type(error).__name__
