"""Audio as libsndfile decodes it, with a check that all of the file was read."""

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

__all__ = ["UndecodedError", "decode", "told_length"]

_UNKNOWN_FRAMES = 1 << 62
_BLOCK = 1 << 20
_TOLERATED_MPEG_FRAMES = 2
"""Decoders drop the first frames of a stream, whose bits lie in frames before."""
_MPEG_RUN_UP = 10 * 1152
"""Samples that are decoded before a part and dropped: its first frames need the bits and the overlap of up to ten."""
_LOST_MPEG_FRAMES = 4
"""What is lost where two files were joined into one: frames that hold a header, or bits that lie in the other."""

logger = logging.getLogger(__name__)


class UndecodedError(ValueError):
    """A file that libsndfile does not read, or not to its end, though another decoder may."""

    def __init__(self, reason: str, remedy: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.remedy = remedy
        """What to do where there is no other decoder."""
        self.seconds = seconds
        """How long the file is at least, where that is known."""


def decode(file: BinaryIO, name: str, start: float, seconds: float | None) -> tuple[npt.NDArray[np.float32], int]:
    """Read `seconds` (None: to the end) from `start` of an open file: float32 (samples, channels), and its rate in Hz.

    A part that ends behind the file is shorter. Raises ValueError that names the file for one that is damaged or was
    cut off, and for a start behind the end; UndecodedError for what another decoder may read.
    """
    file = _with_sizes(file, name)
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
                _check_whole(file, name, sound, len(samples), max(0, frames - first))
    if first and first >= frames:
        raise ValueError(f"The part begins at {start:g} s, but {name} lasts {frames / sr:.2f} s.")
    return samples, sr


def told_length(file: BinaryIO, name: str) -> tuple[int, int] | None:
    """Samples of an open file and its rate in Hz; None where the header does not tell them, or not truly."""
    try:
        with _opened(_with_sizes(file, name), name) as sound:
            frames, sr = sound.frames, sound.samplerate
            if sound.format == "MP3":
                found = _counted(file)
                _check_mpeg(found, name, frames, frames)
                frames = frames if found is None else _mpeg_length(found, frames)
            else:
                _check_whole(file, name, sound, frames, frames)
    except ValueError:
        return None
    return (frames, sr) if frames < _UNKNOWN_FRAMES else None


class _Forward(soundfile.SoundFile):
    """A file without the seek behind each block that is read, which fails where no length is known."""

    def seekable(self) -> bool:
        return False


def _with_sizes(file: BinaryIO, name: str) -> BinaryIO:
    """The file itself; or, of a wav whose recorder died before it wrote the size, all that is there."""
    found = containers.extent(file)
    file.seek(0)
    if found is None or not found.is_open or found.declared:
        return file
    logger.warning("%s: its header says 0 bytes of audio, as a recorder leaves it that died; all is read.", name)
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
    """`count` samples (n, channels) from `first`, or fewer where the file ends; of unknown length, all in blocks."""
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


def _check_whole(file: BinaryIO, name: str, sound: _Forward, read: int, told: int) -> None:
    """Raise a ValueError if a file was cut off: of `told` samples `read` are there, or its container lacks bytes."""
    guessed = sound.subtype.startswith("MPEG")
    missing, found = 0.0 if guessed else max(0, told - read) / sound.samplerate, containers.extent(file)
    if found is not None and not found.is_open:
        missing = max(missing, found.lacks * read / sound.samplerate)
    if missing:
        raise _truncated(name, read / sound.samplerate, f"{missing:.2f} s are missing")
    if sound.format == "OGG" and not containers.ogg_is_whole(file):
        raise _truncated(name, read / sound.samplerate, "its last page is missing")


def _check_mpeg(found: mpeg.Mpeg | None, name: str, read: int, told: int) -> None:
    """Raise a ValueError if an mp3 was cut off, an UndecodedError if libsndfile's guess of its length is too short."""
    if found is None:
        return
    if found.is_truncated:
        known = f"{found.missing:.2f} s are missing" if found.missing else "it ends within a frame"
        raise _truncated(name, found.samples / found.rate, known)
    if read < _mpeg_length(found, told) - _TOLERATED_MPEG_FRAMES * found.samples_per_frame:
        lasts, least = found.samples / found.rate, found.frames - _LOST_MPEG_FRAMES
        reason = (
            f"{name} lasts {lasts:.2f} s, but its header does not say so and only {read / found.rate:.2f} s are read"
        )
        remedy = "Write its header anew, as by `ffmpeg -i in.mp3 -c copy out.mp3`."
        raise UndecodedError(reason, remedy, least * found.samples_per_frame / found.rate)


def _mpeg_length(found: mpeg.Mpeg, told: int) -> int:
    """Samples of an mp3: what libsndfile tells by the header of the encoder, if that is right, else of all frames."""
    trusted = found.declared is not None and found.frames <= found.declared + 1
    return told if trusted else found.samples


def _is_beginning(file: BinaryIO) -> bool:
    """Whether a file that cannot be opened is the beginning of an ogg or mp3, which ffmpeg would take for all of it."""
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
