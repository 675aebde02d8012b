"""Requirements on audio, and warnings of a DC offset and of a very low level."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmcore.checks import as_int
from slmcore.errors import must

__all__ = [
    "SHORTEST_SECONDS",
    "check",
    "check_audible",
    "check_part",
    "conversion",
    "is_silent",
    "mono",
    "shown",
    "whole_rate",
]

SHORTEST_SECONDS = 0.02
"""320 samples at 16 kHz: one frame of the encoder."""

_SILENCE = 1e-4
_CANCELLED = 0.02
"""Peak of the mean of the channels, relative to what one channel alone would leave in it, below which they cancel: -34
dB."""
_QUIET = 0.01
"""With the demo, a peak of -40 dBFS changes the units of 40 to 80 % of the frames; -50 dBFS collapses them."""
_OFFSET, _OFFSET_OF_RMS, _OFFSET_SECONDS = 0.01, 0.1, 0.5
"""With the demo, a DC offset of 0.01 changes the units of 28 % of the frames, one of a tenth of the RMS those of a
third. Below half a second the speech itself may have a mean other than zero."""
_COSTS = "which changes or collapses its units."
_MOST_WARNINGS = 20

logger = logging.getLogger(__name__)
_warnings: Counter[str] = Counter()


def check(wav: Tensor, sr: int, name: str = "wav", shortest: float = SHORTEST_SECONDS) -> None:
    """Raise a ValueError unless `wav` is finite float audio (1, samples) of `shortest` seconds and `sr` a rate in Hz.

    `name`: the wav's name in messages, e.g. its file. A rate may be a whole number of any type, such as
    `np.int64(16000)` or 16000.0.
    """
    rate = whole_rate(sr)
    if not isinstance(wav, Tensor) or not wav.is_floating_point():
        raise ValueError(must(name, "a float tensor (1, samples)", shown(wav), conversion(wav)))
    if wav.ndim != 2 or wav.shape[0] != 1:
        raise ValueError(must(name, "a float tensor (1, samples)", shown(wav), _reshaping(wav)))
    # Rounded: in floating point, a rate times seconds may miss the whole number that it should be.
    samples = math.ceil(round(shortest * rate, 6))
    if wav.shape[1] < samples:
        length = f"at least {samples} samples long ({1000 * shortest:.3g} ms at {rate} Hz)"
        raise ValueError(must(name, length, f"a wav of {wav.shape[1]}"))
    # A sum is finite if all samples are, unless it overflows, and takes a tenth of the time of looking at each.
    if not (math.isfinite(wav.sum()) or torch.isfinite(wav).all()):
        raise ValueError(must(name, "finite", "a wav with NaN or infinite samples"))


def whole_rate(sr: Any) -> int:
    """Return a sample rate in Hz as an int. Raises ValueError unless it is a whole number > 0."""
    integral = isinstance(sr, float | np.floating) and sr.is_integer()
    rate = int(sr) if integral else as_int(sr)
    if rate is None or rate <= 0:
        raise ValueError(must("sr", "a whole number of samples per second > 0", sr))
    return rate


def check_part(start: float, seconds: float | None) -> None:
    """Raise a ValueError unless a part of a file begins at a finite `start` >= 0 and lasts finite `seconds` > 0."""
    if not (math.isfinite(start) and start >= 0):
        raise ValueError(must("start", "a finite number of seconds >= 0", start))
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(must("seconds", "a finite number of seconds > 0, or left out", seconds))


def mono(wav: Tensor, name: str = "wav") -> Tensor:
    """Average the channels: (channels, samples) to (1, samples).

    Raises ValueError for another shape, and for channels in antiphase, which are audible although their mean is silent.
    """
    if not isinstance(wav, Tensor) or wav.ndim != 2:
        remedy = conversion(wav) if not isinstance(wav, Tensor) else _reshaping(wav)
        raise ValueError(must(name, "a tensor (channels, samples)", shown(wav), remedy))
    if wav.shape[0] == 1:
        return wav
    mean = wav.mean(0, keepdim=True)
    loud = float(wav.abs().max()) / wav.shape[0] if wav.numel() else 0.0
    if loud >= _SILENCE and float(mean.abs().max()) < _CANCELLED * loud:
        message = f"The {wav.shape[0]} channels of {name} cancel (antiphase): their mean is silent, but they are not."
        raise ValueError(f"{message} Use one channel, as by `ffmpeg -i in.wav -af pan='mono|c0=c0' out.wav`.")
    return mean


def is_silent(wav: Tensor) -> bool:
    """Whether no sample is louder than -80 dB of full scale."""
    return wav.numel() == 0 or float(wav.abs().max()) < _SILENCE


def check_audible(wav: Tensor, name: str, sr: int | None = None) -> None:
    """Raise a ValueError that names the audio if it is silent; warn of a DC offset and of a very low level.

    Both degrade the units, but the audio is not corrected, since the published encoders do not. `wav`: (1, samples);
    `sr`: its rate in Hz (16 kHz if left out); the offset of wavs below half a second is not looked at.
    """
    if is_silent(wav):
        raise ValueError(f"{name} is silent: no sample is louder than -80 dB of full scale.")
    peak, offset = float(wav.abs().max()), float(wav.mean(dtype=torch.float64))
    rms = float(wav.square().mean(dtype=torch.float64).sqrt())
    if peak < _QUIET:
        remedy = "Raise its level, as by `sox --norm=-3 in.wav out.wav`."
        _warn("level", f"{name} is very quiet (peak {20 * math.log10(peak):.0f} dB of full scale), {_COSTS} {remedy}")
    lasts = wav.shape[-1] >= _OFFSET_SECONDS * (sr or 16_000)
    if lasts and abs(offset) > min(_OFFSET, _OFFSET_OF_RMS * rms):
        remedy = "Remove it, as by `sox in.wav out.wav highpass 20`."
        _warn("offset", f"{name} has a DC offset of {offset:.4f} (RMS {rms:.4f}), {_COSTS} {remedy}")


def _warn(kind: str, message: str) -> None:
    """Log a warning, but only the first few of each kind: a whole corpus may share an offset or a level."""
    _warnings[kind] += 1
    if _warnings[kind] <= _MOST_WARNINGS:
        more = " Further warnings of this kind are left out." if _warnings[kind] == _MOST_WARNINGS else ""
        logger.warning("%s%s", message, more)


def shown(wav: object) -> str:
    """Describe a wav for a message: its type and shape."""
    if isinstance(wav, Tensor):
        return f"a {str(wav.dtype).removeprefix('torch.')} tensor {tuple(wav.shape)}"
    if hasattr(wav, "__array__"):
        return f"a numpy array {tuple(getattr(wav, 'shape', ()))}"
    return f"a {type(wav).__name__}"


def conversion(wav: object) -> str:
    """Return the remedy for audio that is not a float tensor."""
    if isinstance(wav, Tensor):
        return "Divide 16-bit integers by 32768: `wav.float() / 32768`."
    made = "torch.from_numpy(wav).float()"
    made += "[None]" * (getattr(wav, "ndim", 0) == 1) + " / 32768" * ("int" in str(getattr(wav, "dtype", "")))
    return f"Use `{made}`." if hasattr(wav, "__array__") else "Use a torch.Tensor."


def _reshaping(wav: Tensor) -> str:
    """Return the remedy for a tensor of another shape."""
    remedies = {1: "Use `wav[None]`.", 2: "Average the channels with `wav.mean(0, keepdim=True)`."}
    return remedies.get(wav.ndim, "")
