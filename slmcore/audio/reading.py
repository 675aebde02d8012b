"""Reading of audio files in full; truncated ones are refused by name."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from slmcore.audio import ffmpeg
from slmcore.audio.checks import check, check_part, mono
from slmcore.audio.containers import extent
from slmcore.files import places
from slmcore.files.places import Place

__all__ = ["decode", "is_empty", "length", "load", "read"]

_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000
_END_TOLERANCE_SECONDS = 0.025
"""Tolerance on the end of a part, seconds: times may be rounded, or measured before mp3 encoding."""


def read(path: Place) -> tuple[Tensor, int]:
    """Read all of an audio file: float32 wav (channels, samples) and its rate in Hz.

    Formats unknown to libsndfile (m4a, webm, ...) are decoded by ffmpeg where it is installed. `path` may be an fsspec
    URL, a pipe, or `-` for the standard input. Raises OSError if the file cannot be opened (FileNotFoundError,
    IsADirectoryError, PermissionError) and ValueError if it is not whole, finite audio of at least one sample. Every
    message names it.
    """
    with places.open_file("/dev/stdin" if str(path) == "-" else path) as file:
        return decode(file, str(path))


def decode(file: BinaryIO, name: str, start: float = 0.0, seconds: float | None = None) -> tuple[Tensor, int]:
    """Read an open file as `read` does, or a part of it: `seconds` (None: to the end) from `start`.

    `name` stands for the file in messages. A part may end up to 25 ms after the file and is then shorter. Raises
    ValueError for a part that the file does not hold.
    """
    check_part(start, seconds)
    file = file if file.seekable() else cast("BinaryIO", io.BytesIO(file.read()))
    file.seek(0)
    if not file.read(1):
        raise ValueError(f"{name} is empty (0 bytes).")
    samples, sr = _samples(file, name, start, seconds)
    if not _LOWEST_RATE <= sr <= _HIGHEST_RATE:
        raise ValueError(f"{name} says that it has {sr} samples per second. Its header is damaged.")
    if not samples.size:
        raise ValueError(f"{name} holds no samples.")
    wanted = 0 if seconds is None else round(seconds * sr)
    if len(samples) < wanted - _END_TOLERANCE_SECONDS * sr:
        raise ValueError(f"{name} holds only {len(samples) / sr:.2f} s of the {seconds} s from {start} s on.")
    wav = torch.from_numpy(samples.T.copy())
    if not torch.isfinite(wav).all():
        raise ValueError(f"{name} holds NaN or infinite samples.")
    return wav, sr


def load(path: Place) -> tuple[Tensor, int]:
    """Read a file as mono speech: float32 wav (1, samples) and its rate in Hz.

    Raises as `read` does, and ValueError for less than 20 ms and for channels that cancel.
    """
    wav, sr = read(path)
    wav = mono(wav, str(path))
    check(wav, sr, str(path))
    return wav, sr


def length(path: Place) -> tuple[int, int]:
    """Return the samples of a file and its rate in Hz, from its header if possible. Raises as `read`."""
    from slmcore.audio import libsndfile

    with places.open_file(path) as file:
        stated = libsndfile.stated_length(file, str(path))
    if stated is not None:
        return stated
    wav, sr = read(path)
    return wav.shape[1], sr


def is_empty(path: Place) -> bool:
    """Whether a file is a complete wav of length zero, as `write` makes of empty speech.

    A file truncated after its header is not. Raises OSError as `read`.
    """
    with places.open_file(path) as file:
        found = extent(file)
    return found is not None and found.declared == 0 and not found.is_open


def _samples(file: BinaryIO, name: str, start: float, seconds: float | None) -> tuple[npt.NDArray[np.float32], int]:
    """Read a part of an open file: samples (n, channels) and the rate in Hz."""
    from slmcore.audio import libsndfile

    try:
        return libsndfile.decode(file, name, start, seconds)
    except libsndfile.UndecodedError as error:
        if not ffmpeg.installed():
            raise ValueError(f"{error}. {error.remedy}") from error
        samples, sr = _by_ffmpeg(file, name, error, error.seconds)
    first = round(start * sr)
    if first and first >= len(samples):
        raise ValueError(f"The part begins at {start:g} s, but {name} lasts {len(samples) / sr:.2f} s.")
    return samples[first:][: None if seconds is None else round(seconds * sr)], sr


def _by_ffmpeg(
    file: BinaryIO, name: str, reason: ValueError, lasts: float | None
) -> tuple[npt.NDArray[np.float32], int]:
    with _on_disk(file) as path:
        try:
            return ffmpeg.decode(path, name, lasts)
        except ValueError as error:
            raise ValueError(f"{reason} (libsndfile); {error} (ffmpeg)") from error


@contextmanager
def _on_disk(file: BinaryIO) -> Iterator[Path]:
    """Yield the path of an open file, or of a copy: ffmpeg must be able to seek."""
    if isinstance(file, io.BufferedReader) and isinstance(file.name, str) and Path(file.name).is_file():
        yield Path(file.name).absolute()
        return
    with tempfile.NamedTemporaryFile() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield Path(copy.name)
