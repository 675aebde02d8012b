"""Decoding by the program ffmpeg of formats that libsndfile does not read (m4a, webm, wma, ...)."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INSTALL", "decode", "installed"]

INSTALL = "install ffmpeg (Debian: `apt install ffmpeg`, macOS: `brew install ffmpeg`)"

_TOLD_LENGTH = {"mov", "matroska", "asf", "caf", "nistsphere", "wav", "w64", "aiff", "au", "flac", "ape", "wv", "tta"}
"""Formats whose header states their length; for others, such as ADTS, ffprobe estimates it from the bit rate."""
_TOLERANCE_SECONDS = 0.1
"""Tolerance in seconds for the priming and padding of codecs, which some decoders drop and others keep."""

logger = logging.getLogger(__name__)


def installed() -> bool:
    """Whether ffmpeg and the ffprobe that comes with it are on the PATH."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def decode(path: Path, name: str, least: float | None = None) -> tuple[npt.NDArray[np.float32], int]:
    """The first audio stream of a file at its own rate: float32 (samples, channels) and the rate in Hz.

    Only the file is read, never a network. `name` stands for the file in messages; `least`: known minimum duration in
    seconds, which replaces ffmpeg's own complaints. Raises ValueError with ffmpeg's reason if the file is not audio, is
    damaged, or is shorter than its header says.
    """
    stream, container = _probed(path)
    rate, channels = int(stream.get("sample_rate", 0)), int(stream.get("channels", 0))
    if not rate or not channels:
        raise ValueError("it holds no audio stream")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-i", f"file:{path}"]
    command += ["-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-ar", str(rate), "-ac", str(channels)]
    made = subprocess.run([*command, "pipe:1"], capture_output=True, check=False)  # noqa: S603
    samples = np.frombuffer(made.stdout, "<f4").reshape(-1, channels)
    complaint = _last_line(made.stderr, path)
    if made.returncode or (complaint and least is None):
        remedy = f" To take the {len(samples) / rate:.2f} s that can be decoded, convert it by ffmpeg." * bool(
            len(samples)
        )
        raise ValueError(f"{complaint or 'ffmpeg failed'}.{remedy}")
    wanted = _seconds(stream, container) if least is None else least
    if len(samples) / rate < wanted - _TOLERANCE_SECONDS:
        raise ValueError(f"it was cut off: {len(samples) / rate:.2f} s of {wanted:.2f} s are there")
    _say_so(name)
    return samples, rate


def _probed(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return ffprobe's description of the first audio stream and of the container."""
    shown = "stream=duration,sample_rate,channels:stream_tags=DURATION:format=duration,format_name,nb_streams"
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file", "-select_streams", "a:0"]
    command += ["-show_entries", shown, "-of", "json", f"file:{path}"]
    probe = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if probe.returncode:
        raise ValueError(_last_line(probe.stderr, path) or "ffprobe failed")
    description = json.loads(probe.stdout)
    streams = description.get("streams") or [{}]
    return streams[0], description.get("format", {})


def _seconds(stream: dict[str, Any], container: dict[str, Any]) -> float:
    """Duration stated by the header, seconds; 0 if it states none."""
    if not _TOLD_LENGTH & set(str(container.get("format_name")).split(",")):
        return 0.0
    if "duration" in stream:
        return float(stream["duration"])
    tagged = stream.get("tags", {}).get("DURATION")
    if tagged is not None:
        hours, minutes, seconds = map(float, tagged.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    return float(container.get("duration", 0)) if container.get("nb_streams") == 1 else 0.0


def _last_line(errors: bytes, path: Path) -> str:
    """Return ffmpeg's last message, without its prefixes."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].rpartition("] ")[2].removeprefix(f"file:{path}: ").rstrip(" .") if lines else ""


@cache
def _say_once() -> None:
    logger.warning("Files that libsndfile cannot read are decoded by ffmpeg.")


def _say_so(name: str) -> None:
    logger.info("%s is decoded by ffmpeg.", name)
    _say_once()
